/* What is remembered: numbers by bytes, and masks by number. Everything that grows here is bounded by who uses it. */
#ifndef MAXSPAN_MEMO_H
#define MAXSPAN_MEMO_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Python takes masks and atoms for numbers whose lowest byte is first */
#if !defined(__BYTE_ORDER__) || __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "not for big-endian machines: there the kernel does without the compiled part"
#endif

#define NONE UINT32_MAX

/* Hashing with a secret: whoever writes events cannot choose bytes that collide. */
static uint64_t secret[4];

static inline uint64_t folded(uint64_t a, uint64_t b)
{
    unsigned __int128 product = (unsigned __int128)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static inline uint64_t eight(const uint8_t *p)
{
    uint64_t out;
    memcpy(&out, p, 8);
    return out;
}

static inline uint64_t hash_of(const uint8_t *p, size_t length)
{
    uint64_t out = secret[0] ^ length;
    size_t rest = length;
    while (rest >= 16) {
        out = folded(eight(p) ^ secret[1], eight(p + 8) ^ out);
        p += 16;
        rest -= 16;
    }
    uint8_t tail[16] = {0};
    memcpy(tail, p, rest);
    out = folded(eight(tail) ^ secret[2], eight(tail + 8) ^ out);
    return folded(out ^ secret[3], secret[1]);
}

/* --- numbers by bytes ------------------------------------------------------------------------------------------ */

typedef struct {
    uint64_t hash;
    size_t offset;
    uint32_t length, number; /* number NONE: nothing is here */
} Slot;

typedef struct {
    Slot *slots;
    size_t room, count;
    uint8_t *bytes;
    size_t used, size;
} Memo;

static void memo_clear(Memo *memo)
{
    free(memo->slots);
    free(memo->bytes);
    memset(memo, 0, sizeof *memo);
}

static inline uint32_t memo_find(const Memo *memo, uint64_t hash, const uint8_t *bytes, size_t length)
{
    if (!memo->room)
        return NONE;
    for (size_t place = hash & (memo->room - 1);; place = (place + 1) & (memo->room - 1)) {
        const Slot *slot = memo->slots + place;
        if (slot->number == NONE)
            return NONE;
        if (slot->hash == hash && slot->length == length &&
            (!length || memcmp(memo->bytes + slot->offset, bytes, length) == 0))
            return slot->number;
    }
}

static void put(Slot *slots, size_t room, const Slot *one)
{
    size_t place = one->hash & (room - 1);
    while (slots[place].number != NONE)
        place = (place + 1) & (room - 1);
    slots[place] = *one;
}

static int memo_grow(Memo *memo)
{
    size_t room = memo->room ? memo->room * 2 : 64;
    Slot *slots = malloc(room * sizeof *slots);
    if (!slots)
        return -1;
    for (size_t n = 0; n < room; n++)
        slots[n].number = NONE;
    for (size_t n = 0; n < memo->room; n++)
        if (memo->slots[n].number != NONE)
            put(slots, room, memo->slots + n);
    free(memo->slots);
    memo->slots = slots;
    memo->room = room;
    return 0;
}

/* Remembers a number for bytes that are not known yet; -1 without memory. */
static int memo_add(Memo *memo, uint64_t hash, const uint8_t *bytes, size_t length, uint32_t number)
{
    if (memo->count * 2 >= memo->room && memo_grow(memo))
        return -1;
    if (memo->size - memo->used < length) {
        size_t size = (memo->size + length) * 2 + 256;
        uint8_t *more = realloc(memo->bytes, size);
        if (!more)
            return -1;
        memo->bytes = more;
        memo->size = size;
    }
    if (length)
        memcpy(memo->bytes + memo->used, bytes, length);
    Slot slot = {hash, memo->used, (uint32_t)length, number};
    put(memo->slots, memo->room, &slot);
    memo->used += length;
    memo->count++;
    return 0;
}

/* --- masks ------------------------------------------------------------------------------------------------------- */

/* Distinct masks of some words each, by number. */
typedef struct {
    uint64_t *words;
    uint32_t count, size;
    Memo known;
} Masks;

static void masks_clear(Masks *masks)
{
    free(masks->words);
    memo_clear(&masks->known);
    memset(masks, 0, sizeof *masks);
}

static inline uint32_t masks_find(const Masks *masks, const uint64_t *mask, size_t words)
{
    const uint8_t *bytes = (const uint8_t *)mask;
    return memo_find(&masks->known, hash_of(bytes, words * 8), bytes, words * 8);
}

/* Gives the number of a mask; NONE without memory. */
static uint32_t masks_number(Masks *masks, const uint64_t *mask, size_t words)
{
    const uint8_t *bytes = (const uint8_t *)mask;
    uint64_t hash = hash_of(bytes, words * 8);
    uint32_t number = memo_find(&masks->known, hash, bytes, words * 8);
    if (number != NONE)
        return number;
    if (masks->count == masks->size) {
        uint32_t size = masks->size * 2 + 16;
        uint64_t *more = realloc(masks->words, size * words * 8);
        if (!more)
            return NONE;
        masks->words = more;
        masks->size = size;
    }
    if (memo_add(&masks->known, hash, bytes, words * 8, masks->count))
        return NONE;
    memcpy(masks->words + masks->count * words, mask, words * 8);
    return masks->count++;
}

#endif
