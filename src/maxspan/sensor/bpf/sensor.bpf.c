/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * All probes as one object, so that they share ring buffer, counters and settings. `build.sh` builds it.
 */
#include "files.c"
#include "network.c"
#include "process.c"
#include "system.c"

const char terms[] SEC("license") = "Dual MIT/GPL";
