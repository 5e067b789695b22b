/* Texts in lower ASCII to the words and wildcards that they fulfil: one pass over the text, whatever the number.
 *
 * Words are looked up. Of each wildcard the longest text in it is in an automaton (Aho and Corasick, 1975) that runs
 * over the folded text; where it is found the wildcard is tried, once. Texts that are not ASCII are left to Python.
 */
#ifndef MAXSPAN_MATCHER_H
#define MAXSPAN_MATCHER_H

#include "json.h"
#include "memo.h"

typedef struct {
    uint8_t *text;
    size_t length;
    uint32_t list, next; /* its atoms; the next wildcard with the same text in the automaton */
    int insensitive;
} Wildcard;

/* room for texts that is kept from value to value: what a longer one needs is given back */
#define MOST_ROOM (1 << 18)

typedef struct {
    uint32_t room;  /* of `lists` */
    uint32_t used;
    uint32_t *lists; /* atoms: their count, then their numbers */
    Memo exact, folded;
    uint32_t every; /* the atoms of every text */
    Wildcard *wildcards;
    uint32_t count, always; /* `always`: the first of those without any text */
    /* the automaton: `go` by state and class of byte, the first wildcard of a state, the next state with one */
    uint8_t classes[256];
    uint32_t class_count, states, state_room;
    uint32_t *go, *found, *others;
    uint64_t *tried, stamp; /* by state, the last text that its wildcards, and those of `others`, were tried on */
    size_t atom_words;
    uint64_t *atoms; /* of the value that is looked at */
    uint8_t *text, *lower;
    size_t text_room;
    Masks kinds; /* sets of atoms that have come, and what they leave possible */
    uint32_t *answers;
    uint32_t answer_room;
} Matcher;

/* Marks a step of the automaton that finds something; there are fewer states. */
#define FINDS 0x80000000u

static inline uint8_t lower_of(uint8_t c)
{
    return c >= 'A' && c <= 'Z' ? (uint8_t)(c + 32) : c;
}

/* Whether a whole text fits: `*` is any run, `?` one character. Takes time of the product of the lengths at worst. */
static int fits(const uint8_t *pattern, size_t length, const uint8_t *text, size_t size)
{
    size_t at = 0, place = 0, star = SIZE_MAX, mark = 0;
    while (place < size) {
        if (at < length && pattern[at] == '*') {
            star = at++;
            mark = place;
        } else if (at < length && (pattern[at] == '?' || pattern[at] == text[place])) {
            at++;
            place++;
        } else if (star != SIZE_MAX) {
            at = star + 1;
            place = ++mark;
        } else
            return 0;
    }
    while (at < length && pattern[at] == '*')
        at++;
    return at == length;
}

/* --- making one -------------------------------------------------------------------------------------------------- */

/* Keeps a list of atoms; gives where, NONE without memory. */
static uint32_t matcher_list(Matcher *self, const uint32_t *atoms, uint32_t count)
{
    if (self->room - self->used <= count) {
        uint32_t room = (self->room + count) * 2 + 64;
        uint32_t *more = realloc(self->lists, room * sizeof *more);
        if (!more)
            return NONE;
        self->lists = more;
        self->room = room;
    }
    uint32_t place = self->used;
    self->lists[place] = count;
    memcpy(self->lists + place + 1, atoms, count * sizeof *atoms);
    self->used += count + 1;
    return place;
}

static uint32_t new_state(Matcher *self)
{
    if (self->states == self->state_room) {
        if (self->states >= FINDS / 4)
            return NONE;
        uint32_t room = self->state_room * 2 + 64;
        uint32_t *go = realloc(self->go, (size_t)room * self->class_count * sizeof *go);
        self->go = go ? go : self->go;
        uint32_t *found = realloc(self->found, room * sizeof *found);
        self->found = found ? found : self->found;
        uint32_t *others = realloc(self->others, room * sizeof *others);
        self->others = others ? others : self->others;
        uint64_t *tried = realloc(self->tried, room * sizeof *tried);
        self->tried = tried ? tried : self->tried;
        if (!go || !found || !others || !tried)
            return NONE;
        self->state_room = room;
    }
    uint32_t *row = self->go + (size_t)self->states * self->class_count;
    for (uint32_t n = 0; n < self->class_count; n++)
        row[n] = NONE;
    self->found[self->states] = NONE;
    self->others[self->states] = NONE;
    self->tried[self->states] = 0;
    return self->states++;
}

/* Finds the longest text of a wildcard. */
static const uint8_t *longest_text(const Wildcard *one, size_t *length)
{
    const uint8_t *best = one->text;
    *length = 0;
    for (size_t begin = 0, end; begin <= one->length; begin = end + 1) {
        for (end = begin; end < one->length && one->text[end] != '*' && one->text[end] != '?'; end++)
            ;
        if (end - begin > *length) {
            *length = end - begin;
            best = one->text + begin;
        }
    }
    return best;
}

static int automaton_add(Matcher *self, uint32_t number)
{
    Wildcard *one = self->wildcards + number;
    size_t length;
    const uint8_t *text = longest_text(one, &length);
    if (!length) {
        one->next = self->always;
        self->always = number;
        return 0;
    }
    uint32_t state = 0;
    for (size_t n = 0; n < length; n++) {
        size_t place = (size_t)state * self->class_count + self->classes[lower_of(text[n])];
        if (self->go[place] == NONE) {
            uint32_t made = new_state(self);
            if (made == NONE)
                return -1;
            self->go[place] = made;
        }
        state = self->go[place];
    }
    one->next = self->found[state];
    self->found[state] = number;
    return 0;
}

/* Fills in where to go when a text does not go on; `others` leads to the next state that has found something. */
static int automaton_link(Matcher *self)
{
    uint32_t *fail = calloc(self->states, sizeof *fail), *queue = malloc(self->states * sizeof *queue);
    if (!fail || !queue) {
        free(fail);
        free(queue);
        return -1;
    }
    uint32_t first = 0, last = 0;
    queue[last++] = 0;
    while (first < last) {
        uint32_t state = queue[first++], back = fail[state];
        uint32_t *row = self->go + (size_t)state * self->class_count;
        const uint32_t *other = self->go + (size_t)back * self->class_count;
        self->others[state] = state && self->found[back] != NONE ? back : state ? self->others[back] : NONE;
        for (uint32_t n = 0; n < self->class_count; n++) {
            uint32_t next = row[n];
            if (next == NONE)
                row[n] = state ? other[n] : 0;
            else {
                fail[next] = state ? other[n] : 0;
                queue[last++] = next;
            }
        }
    }
    /* what is found is marked on the way there, so that most steps look at nothing else */
    for (size_t n = 0; n < (size_t)self->states * self->class_count; n++)
        if (self->found[self->go[n]] != NONE || self->others[self->go[n]] != NONE)
            self->go[n] |= FINDS;
    free(fail);
    free(queue);
    return 0;
}

/* Makes the automaton, when all wildcards are there; -1 without memory. */
static int matcher_compile(Matcher *self)
{
    self->always = NONE;
    self->class_count = 1;
    for (uint32_t n = 0; n < self->count; n++) {
        size_t length;
        const uint8_t *text = longest_text(self->wildcards + n, &length);
        for (size_t place = 0; place < length; place++) {
            uint8_t c = lower_of(text[place]);
            if (!self->classes[c])
                self->classes[c] = (uint8_t)self->class_count++;
        }
    }
    if (new_state(self) == NONE)
        return -1;
    for (uint32_t n = 0; n < self->count; n++)
        if (automaton_add(self, n))
            return -1;
    return automaton_link(self);
}

static void matcher_forget(Matcher *self)
{
    masks_clear(&self->kinds);
}

static void matcher_clear(Matcher *self)
{
    for (uint32_t n = 0; n < self->count; n++)
        free(self->wildcards[n].text);
    free(self->wildcards);
    free(self->lists);
    memo_clear(&self->exact);
    memo_clear(&self->folded);
    free(self->go);
    free(self->found);
    free(self->others);
    free(self->tried);
    free(self->atoms);
    free(self->text);
    free(self->lower);
    masks_clear(&self->kinds);
    free(self->answers);
}

/* --- asking ------------------------------------------------------------------------------------------------------ */

static inline void matcher_hold(Matcher *self, uint32_t list)
{
    const uint32_t *atoms = self->lists + list;
    for (uint32_t n = 1; n <= atoms[0]; n++)
        self->atoms[atoms[n] >> 6] |= (uint64_t)1 << (atoms[n] & 63);
}

static inline void matcher_try(Matcher *self, uint32_t number, size_t size)
{
    for (; number != NONE; number = self->wildcards[number].next) {
        const Wildcard *one = self->wildcards + number;
        if (fits(one->text, one->length, one->insensitive ? self->lower : self->text, size))
            matcher_hold(self, one->list);
    }
}

/* Reads a string as JSON writes it, `p` after its quote, into `text` and `lower`; NULL if it is not all ASCII. */
static Place matcher_read(Matcher *self, Place p, size_t *size)
{
    uint8_t *text = self->text, *lower = self->lower;
    size_t length = 0;
    for (; *p != '"'; p++) {
        uint8_t c = *p;
        if (c >= 0x80)
            return NULL;
        if (c == '\\') {
            c = *++p;
            switch (c) {
            case 'b': c = '\b'; break;
            case 'f': c = '\f'; break;
            case 'n': c = '\n'; break;
            case 'r': c = '\r'; break;
            case 't': c = '\t'; break;
            case 'u': {
                unsigned code = 0;
                for (int n = 1; n <= 4; n++) {
                    uint8_t digit = lower_of(p[n]);
                    code = code * 16 + (unsigned)(digit <= '9' ? digit - '0' : digit - 'a' + 10);
                }
                if (code >= 0x80)
                    return NULL;
                c = (uint8_t)code;
                p += 4;
                break;
            }
            default: break;
            }
        }
        text[length] = c;
        lower[length++] = lower_of(c);
    }
    *size = length;
    return p + 1;
}

static void matcher_text(Matcher *self, size_t size)
{
    self->stamp++;
    matcher_hold(self, self->every);
    uint32_t list = memo_find(&self->exact, hash_of(self->text, size), self->text, size);
    if (list != NONE)
        matcher_hold(self, list);
    if (self->folded.count) {
        list = memo_find(&self->folded, hash_of(self->lower, size), self->lower, size);
        if (list != NONE)
            matcher_hold(self, list);
    }
    matcher_try(self, self->always, size);
    if (self->states == 1)
        return;
    uint32_t state = 0;
    for (size_t n = 0; n < size; n++) {
        uint32_t next = self->go[(size_t)state * self->class_count + self->classes[self->lower[n]]];
        state = next & ~FINDS;
        if (!(next & FINDS))
            continue;
        uint32_t held = self->found[state] != NONE ? state : self->others[state];
        for (; held != NONE && self->tried[held] != self->stamp; held = self->others[held]) {
            self->tried[held] = self->stamp;
            matcher_try(self, self->found[held], size);
        }
    }
}

static int matcher_texts(Matcher *self, Place p, size_t length)
{
    size_t size;
    if (*p == '"') {
        if (!matcher_read(self, p + 1, &size))
            return 0;
        matcher_text(self, size);
        return 1;
    }
    Place end = p + length;
    p = after_spaces(p + 1, end);
    if (*p == ']')
        return 0;
    for (;; p = after_spaces(p + 1, end)) {
        if (*p != '"' || !(p = matcher_read(self, p + 1, &size)))
            return 0;
        matcher_text(self, size);
        p = after_spaces(p, end);
        if (*p == ']')
            return 1;
    }
}

static void matcher_let_go(Matcher *self)
{
    free(self->text);
    free(self->lower);
    self->text = self->lower = NULL;
    self->text_room = 0;
}

/* Finds the atoms of a value as JSON writes it: 1 if they are in `atoms`, 0 if it is for Python, -1 without memory. */
static int matcher_value(Matcher *self, Place p, size_t length)
{
    if (*p != '"' && *p != '[')
        return 0;
    if (self->text_room < length) {
        matcher_let_go(self);
        size_t room = length > MOST_ROOM / 2 ? length : length * 2;
        self->text = malloc(room);
        self->lower = malloc(room);
        if (!self->text || !self->lower)
            return -1;
        self->text_room = room;
    }
    memset(self->atoms, 0, self->atom_words * 8);
    int found = matcher_texts(self, p, length);
    if (self->text_room > MOST_ROOM)
        matcher_let_go(self);
    return found;
}

#endif
