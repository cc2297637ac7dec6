#pragma once
/* CMocka wants these before it. One group a program, so that TAP output has one plan. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
