/* The names of fields, as objects within objects; and the keys that lines are guessed to have next. */
#ifndef MAXSPAN_NAMES_H
#define MAXSPAN_NAMES_H

#include "memo.h"

/* One member of an object that is asked for: it leads to a field, or to an object with others. */
typedef struct {
    char *key;
    size_t length;
    uint32_t node, field;
    uint64_t stamp; /* the last line that had it */
} Member;

/* A key that has stood at some place of an object, with its quotes and colon: most lines repeat it. */
#define LONGEST_GUESS 32
#define GUESSES 4
#define GUESSED_PLACES 48

typedef struct {
    uint8_t text[LONGEST_GUESS];
    uint32_t length, member; /* `member` NONE: nobody asks for it */
} Guess;

typedef struct {
    Member *members;
    uint32_t *slots; /* members by hash_of_key */
    uint32_t count, room;
    Guess (*guesses)[GUESSES]; /* by place; the newest replaces the oldest */
    uint8_t newest[GUESSED_PLACES];
} Node;

static inline uint32_t hash_of_key(const uint8_t *key, size_t length)
{
    return length ? (uint32_t)(length * 7 + key[0] * 31 + key[length - 1] * 131 + key[length / 2] * 517) : 0;
}

static inline Member *member_of(Node *node, const uint8_t *key, size_t length)
{
    if (!node->room)
        return NULL;
    for (uint32_t place = hash_of_key(key, length) & (node->room - 1);; place = (place + 1) & (node->room - 1)) {
        uint32_t number = node->slots[place];
        if (number == NONE)
            return NULL;
        Member *member = node->members + number;
        if (member->length == length && memcmp(member->key, key, length) == 0)
            return member;
    }
}

/* Puts all members into a table with room for four times as many; -1 without memory. */
static int node_index(Node *node)
{
    uint32_t room = 8;
    while (room < node->count * 4)
        room *= 2;
    uint32_t *slots = malloc(room * sizeof *slots);
    if (!slots)
        return -1;
    memset(slots, 0xFF, room * sizeof *slots);
    for (uint32_t n = 0; n < node->count; n++) {
        uint32_t place = hash_of_key((uint8_t *)node->members[n].key, node->members[n].length) & (room - 1);
        while (slots[place] != NONE)
            place = (place + 1) & (room - 1);
        slots[place] = n;
    }
    free(node->slots);
    node->slots = slots;
    node->room = room;
    return 0;
}

#endif
