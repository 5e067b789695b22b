/* Strict JSON, line by line: what is not plain is not decided here.
 *
 * Every function gives the place after what it read, or NULL where the text is broken, or is anything that needs more
 * than a look: then the whole line goes the general way. So all that is accepted is valid JSON in valid UTF-8, without
 * surrogates, exponents, or numbers of more than eighteen characters. No byte at or after `end` is read.
 */
#ifndef MAXSPAN_JSON_H
#define MAXSPAN_JSON_H

#include <stdint.h>
#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

typedef const uint8_t *Place;

/* objects and arrays may be nested so deep */
#define MOST_DEEP 48
#define LONGEST_NUMBER 18

static inline Place after_spaces(Place p, Place end)
{
    while (p < end && (*p == ' ' || *p == '\t' || *p == '\r'))
        p++;
    return p;
}

/* One character of UTF-8 beyond ASCII: no overlong forms, no surrogates, nothing above U+10FFFF (RFC 3629). */
static inline Place after_character(Place p, Place end)
{
    uint8_t first = p[0], low = 0x80, high = 0xBF;
    int more;
    if (first >= 0xC2 && first <= 0xDF)
        more = 1;
    else if (first >= 0xE0 && first <= 0xEF) {
        more = 2;
        if (first == 0xE0)
            low = 0xA0;
        if (first == 0xED)
            high = 0x9F;
    } else if (first >= 0xF0 && first <= 0xF4) {
        more = 3;
        if (first == 0xF0)
            low = 0x90;
        if (first == 0xF4)
            high = 0x8F;
    } else
        return NULL;
    if (end - p <= more || p[1] < low || p[1] > high)
        return NULL;
    for (int n = 2; n <= more; n++)
        if (p[n] < 0x80 || p[n] > 0xBF)
            return NULL;
    return p + more + 1;
}

static inline int is_hex(uint8_t c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/* An escape, `p` at its backslash. Those of surrogates are left to the general way. */
static inline Place after_escape(Place p, Place end)
{
    if (end - p < 2)
        return NULL;
    switch (p[1]) {
    case '"': case '\\': case '/': case 'b': case 'f': case 'n': case 'r': case 't':
        return p + 2;
    case 'u':
        if (end - p < 6 || !is_hex(p[2]) || !is_hex(p[3]) || !is_hex(p[4]) || !is_hex(p[5]))
            return NULL;
        if ((p[2] == 'd' || p[2] == 'D') && (p[3] > '7'))
            return NULL;
        return p + 6;
    default:
        return NULL;
    }
}

/* A string, `p` after its opening quote. */
static inline Place after_string(Place p, Place end)
{
    for (;;) {
#ifdef __SSE2__
        while (end - p >= 16) {
            __m128i text = _mm_loadu_si128((const __m128i *)p);
            /* bytes above 0x7F are negative: they are found together with control characters */
            __m128i odd = _mm_cmplt_epi8(text, _mm_set1_epi8(0x20));
            odd = _mm_or_si128(odd, _mm_cmpeq_epi8(text, _mm_set1_epi8('"')));
            odd = _mm_or_si128(odd, _mm_cmpeq_epi8(text, _mm_set1_epi8('\\')));
            unsigned found = (unsigned)_mm_movemask_epi8(odd);
            if (found) {
                p += __builtin_ctz(found);
                break;
            }
            p += 16;
        }
#endif
        while (p < end && *p >= 0x20 && *p < 0x80 && *p != '"' && *p != '\\')
            p++;
        if (p >= end || *p < 0x20)
            return NULL;
        if (*p == '"')
            return p + 1;
        p = *p == '\\' ? after_escape(p, end) : after_character(p, end);
        if (!p)
            return NULL;
    }
}

static inline Place after_digits(Place p, Place end)
{
    while (p < end && *p >= '0' && *p <= '9')
        p++;
    return p;
}

static inline Place after_number(Place p, Place end)
{
    Place begin = p;
    if (*p == '-')
        p++;
    if (p >= end || *p < '0' || *p > '9')
        return NULL;
    p = *p == '0' ? p + 1 : after_digits(p, end);
    if (p < end && *p == '.') {
        Place dot = p++;
        p = after_digits(p, end);
        if (p == dot + 1)
            return NULL;
    }
    if (p - begin > LONGEST_NUMBER)
        return NULL;
    /* what follows a number ends it: not a digit after a leading zero, not an exponent */
    if (p < end && (*p == 'e' || *p == 'E' || (*p >= '0' && *p <= '9')))
        return NULL;
    return p;
}

static inline Place after_word(Place p, Place end, const char *word, int length)
{
    return end - p >= length && memcmp(p, word, (size_t)length) == 0 ? p + length : NULL;
}

/* A string, number, true, false or null. */
static inline Place after_scalar(Place p, Place end)
{
    if (p >= end)
        return NULL;
    switch (*p) {
    case '"':
        return after_string(p + 1, end);
    case 't':
        return after_word(p, end, "true", 4);
    case 'f':
        return after_word(p, end, "false", 5);
    case 'n':
        return after_word(p, end, "null", 4);
    default:
        return after_number(p, end);
    }
}

static Place after_value(Place p, Place end, int deep);

/* An array, `p` after its bracket; with `flat` it must hold scalars alone. */
static Place after_array(Place p, Place end, int deep, int flat)
{
    p = after_spaces(p, end);
    if (p < end && *p == ']')
        return p + 1;
    for (;;) {
        p = after_spaces(p, end);
        p = flat ? after_scalar(p, end) : after_value(p, end, deep + 1);
        if (!p)
            return NULL;
        p = after_spaces(p, end);
        if (p >= end)
            return NULL;
        if (*p == ']')
            return p + 1;
        if (*p++ != ',')
            return NULL;
    }
}

/* After the colon that follows a key, `p` after the key. */
static inline Place after_colon(Place p, Place end)
{
    p = after_spaces(p, end);
    return p < end && *p == ':' ? after_spaces(p + 1, end) : NULL;
}

/* An object that nobody asks for, `p` after its brace. */
static Place after_object(Place p, Place end, int deep)
{
    p = after_spaces(p, end);
    if (p < end && *p == '}')
        return p + 1;
    for (;;) {
        p = after_spaces(p, end);
        if (p >= end || *p != '"' || !(p = after_string(p + 1, end)) || !(p = after_colon(p, end)))
            return NULL;
        p = after_value(p, end, deep + 1);
        if (!p)
            return NULL;
        p = after_spaces(p, end);
        if (p >= end)
            return NULL;
        if (*p == '}')
            return p + 1;
        if (*p++ != ',')
            return NULL;
    }
}

static Place after_value(Place p, Place end, int deep)
{
    if (p >= end || deep > MOST_DEEP)
        return NULL;
    if (*p == '{')
        return after_object(p + 1, end, deep);
    if (*p == '[')
        return after_array(p + 1, end, deep, 0);
    return after_scalar(p, end);
}

#endif
