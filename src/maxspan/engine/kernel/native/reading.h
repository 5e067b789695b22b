/* One line: whether it is plain, and where in it the fields are. */
#ifndef MAXSPAN_READING_H
#define MAXSPAN_READING_H

#include "json.h"
#include "scanner.h"

/* Keys of Elasticsearch's own beside `fields` in a hit; see unwrap in sources/document.py. */
static int is_hit_key(const uint8_t *key, size_t length)
{
    static const char *const keys[] = {"fields", "sort", "highlight", "matched_queries", "inner_hits",
                                       "ignored_field_values"};
    if (length && key[0] == '_')
        return 1;
    for (size_t n = 0; n < sizeof keys / sizeof *keys; n++)
        if (strlen(keys[n]) == length && memcmp(keys[n], key, length) == 0)
            return 1;
    return 0;
}

/* A key, `p` after its quote; NULL also for one with a dot or an escape in it, which may name another field. */
static inline Place after_key(Place p, Place end)
{
    Place begin = p;
    while (p < end && *p != '"' && *p != '.' && *p != '\\' && *p >= 0x20 && *p < 0x80)
        p++;
    if (p < end && *p == '"')
        return p + 1;
    if (p >= end || *p < 0x80)
        return NULL;
    p = after_string(begin, end);
    return p && !memchr(begin, '.', (size_t)(p - begin)) && !memchr(begin, '\\', (size_t)(p - begin)) ? p : NULL;
}

static inline int is_guessed(const Guess *guess, Place p)
{
#ifdef __SSE2__
    unsigned same = (unsigned)_mm_movemask_epi8(
        _mm_cmpeq_epi8(_mm_loadu_si128((const __m128i *)p), _mm_loadu_si128((const __m128i *)guess->text)));
    if (guess->length <= 16)
        return (~same & (unsigned)((1u << guess->length) - 1)) == 0;
    if (same != 0xFFFF)
        return 0;
    same = (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(_mm_loadu_si128((const __m128i *)(p + 16)),
                                                      _mm_loadu_si128((const __m128i *)(guess->text + 16))));
    return (~same & (unsigned)((1u << (guess->length - 16)) - 1)) == 0;
#else
    return memcmp(p, guess->text, guess->length) == 0;
#endif
}

/* Gives the value's place after a key and its colon, `p` at the quote; `member` is NULL if nobody asks for it. */
static inline Place after_member(Scanner *self, uint32_t number, uint32_t place, Place p, Place end, Member **member)
{
    Node *node = self->nodes + number;
    int may_guess = place < GUESSED_PLACES && end - p >= LONGEST_GUESS;
    if (may_guess)
        for (int n = 0; n < GUESSES; n++) {
            const Guess *guess = node->guesses[place] + n;
            if (guess->length && is_guessed(guess, p)) {
                *member = guess->member == NONE ? NULL : node->members + guess->member;
                self->other |= !number;
                return after_spaces(p + guess->length, end);
            }
        }
    Place key = p + 1, begin = p;
    p = *p == '"' ? after_key(key, end) : NULL;
    if (!p)
        return NULL;
    size_t length = (size_t)(p - key) - 1;
    int guessable = may_guess && length + 3 <= LONGEST_GUESS && *p == ':';
    if (!number) {
        if (length == 7 && memcmp(key, "_source", 7) == 0)
            return NULL;
        self->wrapper |= length == 6 && memcmp(key, "fields", 6) == 0;
        if (is_hit_key(key, length))
            guessable = 0;
        else
            self->other = 1;
    }
    *member = member_of(node, key, length);
    if (guessable) {
        Guess *guess = node->guesses[place] + (node->newest[place]++ % GUESSES);
        memcpy(guess->text, begin, length + 3);
        guess->length = (uint32_t)length + 3;
        guess->member = *member ? (uint32_t)(*member - node->members) : NONE;
    }
    return after_colon(p, end);
}

static Place wanted_object(Scanner *self, uint32_t number, Place p, Place end, Place line, int deep);

/* The value of a member that is asked for. What two values of one name would mean is not decided here. */
static inline Place wanted_value(Scanner *self, Member *member, Place p, Place end, Place line, int deep)
{
    if (member->stamp == self->stamp || p >= end)
        return NULL;
    member->stamp = self->stamp;
    if (*p == '{')
        return member->node == NONE ? after_object(p + 1, end, deep)
                                    : wanted_object(self, member->node, p + 1, end, line, deep + 1);
    Place after = *p == '[' ? after_array(p + 1, end, deep, 1) : after_scalar(p, end);
    if (!after)
        return NULL;
    if (member->node != NONE)
        return *p == 'n' ? after : NULL; /* something else than an object where objects are expected */
    self->tokens[member->field] = (Token){(uint32_t)(p - line), (uint32_t)(after - p)};
    return after;
}

static Place wanted_object(Scanner *self, uint32_t number, Place p, Place end, Place line, int deep)
{
    if (deep > MOST_DEEP)
        return NULL;
    p = after_spaces(p, end);
    if (p < end && *p == '}')
        return p + 1;
    for (uint32_t place = 0;; place++) {
        p = after_spaces(p, end);
        Member *member;
        if (p >= end || !(p = after_member(self, number, place, p, end, &member)))
            return NULL;
        p = member ? wanted_value(self, member, p, end, line, deep) : after_value(p, end, deep + 1);
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

/* Reads one line from its brace on; whether it is plain. Afterwards `tokens` are those of the line. */
static int plain(Scanner *self, Place line, Place end)
{
    self->stamp++;
    self->wrapper = self->other = 0;
    memset(self->tokens, 0, self->field_count * sizeof *self->tokens);
    if (*line != '{' || end - line > INT32_MAX)
        return 0;
    Place p = wanted_object(self, 0, line + 1, end, line, 0);
    return p && after_spaces(p, end) == end && (self->other || !self->wrapper);
}

#endif
