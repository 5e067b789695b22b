/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Ring buffer, counters, settings, and the buffers in which records of variable size are put together.
 */
#pragma once
#include "layout.h"

#define MAX_CPUS 256
#define SLOTS 2
#define MAX_NAMES 64
#define PATH_LIMIT 4096
#define ARGUMENTS_LIMIT 16383
#define ENVIRONMENT_LIMIT 8191
#define DATA_MASK 0x7fff

/* A section of its own becomes a map of its own, whose first byte is the first of the variable. */
const volatile struct settings settings SEC(".rodata.settings") = {};
/* Written by the reader through shared memory. */
volatile struct reader reader SEC(".data.reader") = {};
/* The only variable in .bss, for the same reason. The loader maps it: reading it costs no system call. */
struct counters counters[MAX_CPUS][KINDS] = {};

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 8 * 1024 * 1024);
} events SEC(".maps");

/* A buffer: `busy` is taken by compare-and-swap, because a program may be preempted by another on the same CPU. */
struct slot {
	u32 busy;
	/* State of loops. It is kept here and not in registers, so that the verifier does not follow every value it may have. */
	u32 key_length;
	u32 name_count;
	u32 written;
	u64 names[MAX_NAMES];
	struct watch_key key;
	volatile u64 number;
	/* The fixed part of a record is written to the end of this, so that it leaves in one piece with its data. */
	union {
		char room[512];
		union any_record biggest;
	};
	char data[DATA_MASK + 1 + ARGUMENTS_LIMIT + 1];
};

/* The loader sets the number of entries: SLOTS for each CPU. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, SLOTS);
	__type(key, u32);
	__type(value, struct slot);
} slots SEC(".maps");

static always_inline struct counters *counters_of(u32 kind)
{
	return &counters[bpf_get_smp_processor_id() & (MAX_CPUS - 1)][kind & (KINDS - 1)];
}

static always_inline void count_seen(u32 kind)
{
	__sync_fetch_and_add(&counters_of(kind)->seen, 1);
}

static always_inline void count_sent(u32 kind)
{
	__sync_fetch_and_add(&counters_of(kind)->sent, 1);
}

static always_inline void count_lost(u32 kind)
{
	__sync_fetch_and_add(&counters_of(kind)->lost, 1);
}

static always_inline void count_clipped(u32 kind)
{
	__sync_fetch_and_add(&counters_of(kind)->clipped, 1);
}

static always_inline struct slot *slot_at(u32 index)
{
	return bpf_map_lookup_elem(&slots, &index);
}

/* Take a buffer of this CPU; returns its index, or a negative number when all are in use: then the event is counted
 * as seen and lost, also where a filter would have left it out. */
static always_inline s32 take_slot(u32 kind)
{
	u32 first = (bpf_get_smp_processor_id() & (MAX_CPUS - 1)) * SLOTS;
	for (u32 i = 0; i < SLOTS; i++) {
		struct slot *slot = slot_at(first + i);
		if (slot && __sync_val_compare_and_swap(&slot->busy, 0, 1) == 0)
			return first + i;
	}
	count_seen(kind);
	count_lost(kind);
	return -1;
}

/* A pointer as a plain number, which is all that the verifier lets a global function have. It forgets what a value is
 * that goes through a map. */
static always_inline u64 as_number(struct slot *slot, const void *pointer)
{
	slot->number = (u64)pointer;
	return slot->number;
}

static always_inline void release_slot(struct slot *slot)
{
	__sync_lock_test_and_set(&slot->busy, 0);
}

/* How to wake the reader for `size` bytes, when `waiting` bytes are in the ring before them. */
static always_inline u64 wake(u64 waiting, u32 size)
{
	if ((waiting ^ (waiting + ((size + 15) & ~7))) & ~((u64)settings.wake_bytes - 1))
		return BPF_RB_FORCE_WAKEUP;
	return reader.waits ? 0 : BPF_RB_NO_WAKEUP;
}

/* Where the fixed part of a record stands: right before the data. */
#define record_in(slot, type) ((type *)((slot)->data - sizeof(type)))

/* Send a record and `data_bytes` bytes behind it, and give the buffer back; true when it was sent. With `hurry` the
 * reader is woken. */
#define send_slot(slot, type, kind_, data_bytes, hurry)                                                              \
	({                                                                                                           \
		u32 bytes_ = (data_bytes);                                                                           \
		barrier_var(bytes_);                                                                                 \
		bytes_ &= 0xffff;                                                                                    \
		if (bytes_ > sizeof((slot)->data))                                                                   \
			bytes_ = sizeof((slot)->data);                                                               \
		record_in(slot, type)->head.size = sizeof(type) + bytes_;                                            \
		if (record_in(slot, type)->head.flags & FLAGS_CLIPPED)                                               \
			count_clipped(kind_);                                                                        \
		count_seen(kind_);                                                                                   \
		u64 wake_ = wake(bpf_ringbuf_query(&events, BPF_RB_AVAIL_DATA), sizeof(type) + bytes_);              \
		if (hurry)                                                                                           \
			wake_ = BPF_RB_FORCE_WAKEUP;                                                                 \
		long failed_ = bpf_ringbuf_output(&events, record_in(slot, type), sizeof(type) + bytes_, wake_);     \
		if (failed_)                                                                                         \
			count_lost(kind_);                                                                           \
		else                                                                                                 \
			count_sent(kind_);                                                                           \
		release_slot(slot);                                                                                  \
		!failed_;                                                                                            \
	})

/* Fixed-size records go straight into the ring. */
#define reserve(type, kind_)                                                                                         \
	({                                                                                                           \
		count_seen(kind_);                                                                                   \
		type *record_ = bpf_ringbuf_reserve(&events, sizeof(type), 0);                                       \
		if (!record_)                                                                                        \
			count_lost(kind_);                                                                           \
		record_;                                                                                             \
	})

#define submit(record, kind_)                                                                                        \
	({                                                                                                           \
		u32 room_ = (sizeof(*(record)) + 15) & ~7;                                                           \
		bpf_ringbuf_submit(record, wake(bpf_ringbuf_query(&events, BPF_RB_AVAIL_DATA) - room_, room_ - 8));  \
		count_sent(kind_);                                                                                   \
	})
