#include "http_server.h"
#include "http_text_internal.h"
#include <string.h>

/* RFC 9110 section 5.6.2 `token`; the value is the character in lower case. */
const uint8_t http_token_lower[256] = {
    ['!'] = '!', ['#'] = '#', ['$'] = '$', ['%'] = '%', ['&'] = '&', ['\''] = '\'', ['*'] = '*', ['+'] = '+', ['-'] = '-',
    ['.'] = '.', ['^'] = '^', ['_'] = '_', ['`'] = '`', ['|'] = '|', ['~'] = '~',   ['0'] = '0', ['1'] = '1', ['2'] = '2',
    ['3'] = '3', ['4'] = '4', ['5'] = '5', ['6'] = '6', ['7'] = '7', ['8'] = '8',   ['9'] = '9', ['a'] = 'a', ['b'] = 'b',
    ['c'] = 'c', ['d'] = 'd', ['e'] = 'e', ['f'] = 'f', ['g'] = 'g', ['h'] = 'h',   ['i'] = 'i', ['j'] = 'j', ['k'] = 'k',
    ['l'] = 'l', ['m'] = 'm', ['n'] = 'n', ['o'] = 'o', ['p'] = 'p', ['q'] = 'q',   ['r'] = 'r', ['s'] = 's', ['t'] = 't',
    ['u'] = 'u', ['v'] = 'v', ['w'] = 'w', ['x'] = 'x', ['y'] = 'y', ['z'] = 'z',   ['A'] = 'a', ['B'] = 'b', ['C'] = 'c',
    ['D'] = 'd', ['E'] = 'e', ['F'] = 'f', ['G'] = 'g', ['H'] = 'h', ['I'] = 'i',   ['J'] = 'j', ['K'] = 'k', ['L'] = 'l',
    ['M'] = 'm', ['N'] = 'n', ['O'] = 'o', ['P'] = 'p', ['Q'] = 'q', ['R'] = 'r',   ['S'] = 's', ['T'] = 't', ['U'] = 'u',
    ['V'] = 'v', ['W'] = 'w', ['X'] = 'x', ['Y'] = 'y', ['Z'] = 'z',
};

static char lower(char character) { return character >= 'A' && character <= 'Z' ? (char)(character + ('a' - 'A')) : character; }

static bool is_blank(char character) { return character == ' ' || character == '\t'; }

struct http_text http_text_trimmed(struct http_text text) {
  while (text.length && is_blank(text.at[0])) {
    text.at++;
    text.length--;
  }
  while (text.length && is_blank(text.at[text.length - 1])) text.length--;
  return text;
}

bool http_text_equals_ignoring_case(struct http_text text, const char *literal) {
  if (strlen(literal) != text.length) return false;
  for (uint32_t i = 0; i < text.length; i++)
    if (lower(text.at[i]) != lower(literal[i])) return false;
  return true;
}

bool http_media_type_is(struct http_text content_type, const char *lower_case_type) {
  const char *semicolon = content_type.length ? memchr(content_type.at, ';', content_type.length) : NULL;
  if (semicolon) content_type.length = (uint32_t)(semicolon - content_type.at);
  return http_text_equals_ignoring_case(http_text_trimmed(content_type), lower_case_type);
}

struct http_text http_request_header(const struct http_request *request, const char *lower_case_name) {
  const size_t length = strlen(lower_case_name);
  for (uint32_t i = 0; i < request->header_count; i++) {
    const struct http_text name = request->headers[i].name;
    if (name.length == length && memcmp(name.at, lower_case_name, length) == 0) return request->headers[i].value;
  }
  return (struct http_text){NULL, 0};
}

bool http_list_next(struct http_text *list, struct http_text *element) {
  if (!list->at) return false;
  const char *comma = list->length ? memchr(list->at, ',', list->length) : NULL;
  const uint32_t length = comma ? (uint32_t)(comma - list->at) : list->length;
  *element = http_text_trimmed((struct http_text){list->at, length});
  if (comma) {
    list->at = comma + 1;
    list->length -= length + 1;
  } else {
    *list = (struct http_text){NULL, 0};
  }
  return true;
}

/* Tab, visible ASCII, space and obs-text (RFC 9110 section 5.5): no CR, LF, NUL or other control. */
static bool is_value_byte(uint8_t byte) { return (byte >= 0x20 && byte != 0x7f) || byte == '\t'; }

bool http_value_valid(const char *at, uint32_t length) {
  const uint64_t ones = UINT64_C(0x0101010101010101), highs = UINT64_C(0x8080808080808080);
  uint32_t i = 0;
  for (; length - i >= 8; i += 8) {
    uint64_t word;
    memcpy(&word, at + i, sizeof word);
    const uint64_t deleted = word ^ (ones * 0x7f);
    /* The high bit is set for each byte below 0x20 and each that is 0x7f; a borrow may set it for more, never for fewer. */
    const uint64_t suspicious = (((word - ones * 0x20) & ~word) | ((deleted - ones) & ~deleted)) & highs;
    if (__builtin_expect(suspicious != 0, 0))
      for (uint32_t j = i; j < i + 8; j++)
        if (!is_value_byte((uint8_t)at[j])) return false;
  }
  for (; i < length; i++)
    if (!is_value_byte((uint8_t)at[i])) return false;
  return true;
}
