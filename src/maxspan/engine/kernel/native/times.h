/* The usual form of a time, `"2026-11-24T03:06:23.843389Z"`, in nanoseconds since 1970. */
#ifndef MAXSPAN_TIMES_H
#define MAXSPAN_TIMES_H

#include <stdint.h>

static inline int64_t two(const uint8_t *p)
{
    return (p[0] >= '0' && p[0] <= '9' && p[1] >= '0' && p[1] <= '9') ? (p[0] - '0') * 10 + p[1] - '0' : -1;
}

/* Days from 1970 to a day of the Gregorian calendar. */
static inline int64_t days_to(int64_t year, int64_t month, int64_t day)
{
    /* years begin in March, so that the odd day is the last one */
    int64_t from = month > 2 ? year : year - 1, turn = (month + 9) % 12;
    return 365 * from + from / 4 - from / 100 + from / 400 + (153 * turn + 2) / 5 + day - 1 - 719468;
}

/* Whether a value as JSON writes it is such a time, of the years 1700 to 2250; others are left to Python.
 * `Z` may be left out. */
static int time_from(const uint8_t *p, size_t length, int64_t *out)
{
    if (length < 21 || length > 32 || p[0] != '"' || p[length - 1] != '"')
        return 0;
    size_t zone = p[length - 2] == 'Z';
    if (length - zone < 21 || length - zone > 31)
        return 0;
    p++;
    int64_t century = two(p), rest = two(p + 2), month = two(p + 5), day = two(p + 8);
    int64_t hour = two(p + 11), minute = two(p + 14), second = two(p + 17);
    if (p[4] != '-' || p[7] != '-' || p[10] != 'T' || p[13] != ':' || p[16] != ':')
        return 0;
    if (century < 17 || rest < 0 || century * 100 + rest > 2250 || month < 1 || month > 12 || day < 1 || hour < 0 ||
        hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 59)
        return 0;
    int64_t year = century * 100 + rest;
    int leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    static const uint8_t longest[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    if (day > longest[month - 1] + (month == 2 && leap))
        return 0;
    int64_t fraction = 0;
    size_t digits = length - zone - 21; /* what is left are both quotes, and nineteen characters before the fraction */
    if (digits) {
        if (digits == 1 || p[19] != '.')
            return 0;
        for (size_t n = 1; n < 10; n++) {
            uint8_t c = n < digits ? p[19 + n] : '0';
            if (c < '0' || c > '9')
                return 0;
            fraction = fraction * 10 + (c - '0');
        }
    }
    *out = (((days_to(year, month, day) * 24 + hour) * 60 + minute) * 60 + second) * 1000000000 + fraction;
    return 1;
}

#endif
