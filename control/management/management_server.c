#include "log.h"
#include "management_internal.h"
#include <arpa/inet.h>
#include <errno.h>
#include <grp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum MHD_Result answer_text(struct management_request *request, unsigned status, const char *type, char *text, size_t length) {
  struct MHD_Response *response = MHD_create_response_from_buffer(length, text, MHD_RESPMEM_MUST_FREE);
  if (!response) {
    free(text);
    return MHD_NO;
  }
  MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
  char seconds[12];
  snprintf(seconds, sizeof seconds, "%u", request->retry_after_s ? request->retry_after_s : 1);
  if (status == 503) MHD_add_response_header(response, MHD_HTTP_HEADER_RETRY_AFTER, seconds);
  const enum MHD_Result queued = MHD_queue_response(request->connection, status, response);
  MHD_destroy_response(response);
  return queued;
}

enum MHD_Result answer_json(struct management_request *request, unsigned status, json_t *json) {
  char *text = json ? json_dumps(json, JSON_COMPACT | JSON_REAL_PRECISION(17)) : NULL;
  json_decref(json);
  if (!text) return MHD_NO;
  return answer_text(request, status, "application/json", text, strlen(text));
}

void correlation_text(char text[40]) {
  uint64_t random[2] = {0};
  if (getrandom(random, sizeof random, 0) < 0) random[0] = 0;
  snprintf(text, 40, "%016llx%016llx", (unsigned long long)random[0], (unsigned long long)random[1]);
}

enum MHD_Result answer_error(struct management_request *request, unsigned status, const char *code, const char *message) {
  char correlation[40];
  correlation_text(correlation);
  return answer_json(request, status,
                     json_pack("{s:s, s:s, s:s}", "code", code, "message", message, "correlation_id", correlation));
}

const char *request_argument(const struct management_request *request, const char *name) {
  return MHD_lookup_connection_value(request->connection, MHD_GET_ARGUMENT_KIND, name);
}

static void add_body(struct management_request *request, const char *data, size_t length) {
  if (request->body_length + length > REQUEST_BODY_BYTES_MAX) request->too_large = true;
  if (request->too_large) return;
  if (request->body_length + length + 1 > request->body_capacity) {
    const size_t capacity = 2 * (request->body_length + length) + 4096;
    char *grown = realloc(request->body, capacity);
    if (!grown) {
      request->too_large = true;
      return;
    }
    request->body = grown;
    request->body_capacity = capacity;
  }
  memcpy(request->body + request->body_length, data, length);
  request->body_length += length;
  request->body[request->body_length] = '\0';
}

static void identify_peer(struct management_request *request) {
  const union MHD_ConnectionInfo *info = MHD_get_connection_info(request->connection, MHD_CONNECTION_INFO_CONNECTION_FD);
  struct ucred peer = {.uid = (uid_t)-1};
  socklen_t size = sizeof peer;
  if (info && getsockopt(info->connect_fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0) request->peer_uid = peer.uid;
}

static enum MHD_Result on_request(void *context, struct MHD_Connection *connection, const char *url, const char *method,
                                  const char *version, const char *data, size_t *data_length, void **state, bool may_change) {
  const struct management_server *server = context;
  struct management_request *request = *state;
  (void)version;
  if (!request) {
    *state = request = calloc(1, sizeof *request);
    if (!request) return MHD_NO;
    *request = (struct management_request){.appliance = server->appliance, .connection = connection, .may_change = may_change};
    if (may_change) identify_peer(request);
    return MHD_YES;
  }
  request->method = method;
  request->path = url;
  if (*data_length) {
    add_body(request, data, *data_length);
    *data_length = 0;
    return MHD_YES;
  }
  return management_route(request);
}

static enum MHD_Result on_socket_request(void *context, struct MHD_Connection *connection, const char *url, const char *method,
                                         const char *version, const char *data, size_t *data_length, void **state) {
  return on_request(context, connection, url, method, version, data, data_length, state, true);
}

static enum MHD_Result on_tcp_request(void *context, struct MHD_Connection *connection, const char *url, const char *method,
                                      const char *version, const char *data, size_t *data_length, void **state) {
  return on_request(context, connection, url, method, version, data, data_length, state, false);
}

static void on_completed(void *context, struct MHD_Connection *connection, void **state, enum MHD_RequestTerminationCode code) {
  struct management_request *request = *state;
  (void)context, (void)connection, (void)code;
  if (request) free(request->body);
  free(request);
}

/* A socket that nobody answers on is what a killed daemon left behind; the data directory's lock says that it is not in use. */
static int listen_on_path(const struct management_config *config) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  if (strlen(config->socket_path) >= sizeof address.sun_path) return -ENAMETOOLONG;
  memcpy(address.sun_path, config->socket_path, strlen(config->socket_path) + 1);
  struct stat found;
  if (lstat(config->socket_path, &found) == 0) {
    if (!S_ISSOCK(found.st_mode)) return -EEXIST; /* whatever it is, it is not ours to remove */
    unlink(config->socket_path);
  }
  const int file = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (file < 0) return -errno;
  const mode_t mask = umask(0177);
  const bool bound = bind(file, (struct sockaddr *)&address, sizeof address) == 0;
  umask(mask);
  const struct group *group = config->socket_group && config->socket_group[0] ? getgrnam(config->socket_group) : NULL;
  if (!bound || (group && chown(config->socket_path, (uid_t)-1, group->gr_gid) != 0) || chmod(config->socket_path, 0660) != 0 ||
      listen(file, 64) != 0) {
    const int error = errno;
    close(file);
    return -error;
  }
  return file;
}

static struct MHD_Daemon *start_on_tcp(struct management_server *server, const struct management_config *config) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(config->listen_port)};
  if (inet_pton(AF_INET, config->listen_address, &address.sin_addr) != 1) return NULL;
  return MHD_start_daemon(MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_THREAD_PER_CONNECTION | MHD_USE_POLL, config->listen_port,
                          NULL, NULL, on_tcp_request, server, MHD_OPTION_SOCK_ADDR, &address, MHD_OPTION_NOTIFY_COMPLETED,
                          on_completed, NULL, MHD_OPTION_CONNECTION_LIMIT, 64u, MHD_OPTION_CONNECTION_TIMEOUT, 30u,
                          MHD_OPTION_LISTENING_ADDRESS_REUSE, 1u, MHD_OPTION_END);
}

struct management_server *management_server_start(const struct management_config *config, const struct appliance *appliance,
                                                  int *error_number) {
  struct management_server *server = calloc(1, sizeof *server);
  *error_number = -ENOMEM;
  if (!server) return NULL;
  server->appliance = appliance;
  const int file = listen_on_path(config);
  *error_number = file;
  if (file < 0) {
    free(server);
    return NULL;
  }
  snprintf(server->socket_path, sizeof server->socket_path, "%s", config->socket_path);
  server->on_socket =
      MHD_start_daemon(MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_THREAD_PER_CONNECTION | MHD_USE_POLL, 0, NULL, NULL,
                       on_socket_request, server, MHD_OPTION_LISTEN_SOCKET, file, MHD_OPTION_NOTIFY_COMPLETED, on_completed, NULL,
                       MHD_OPTION_CONNECTION_LIMIT, 64u, MHD_OPTION_CONNECTION_TIMEOUT, 120u, MHD_OPTION_END);
  errno = 0;
  if (config->listen_port) server->on_tcp = start_on_tcp(server, config);
  *error_number = errno ? -errno : -EADDRNOTAVAIL;
  if (server->on_socket && (server->on_tcp || !config->listen_port)) return server;
  if (!server->on_socket) close(file);
  management_server_stop(server);
  return NULL;
}

void management_server_stop(struct management_server *server) {
  if (server->on_tcp) MHD_stop_daemon(server->on_tcp);
  if (server->on_socket) MHD_stop_daemon(server->on_socket);
  if (server->socket_path[0]) unlink(server->socket_path);
  free(server);
}
