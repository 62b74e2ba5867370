// RoostPlatform: the only place that makes system calls.
//
// Owns descriptors, sockets, files, the event loop, threads, signals, clocks and the machine's dice. Few
// branches and no opinions: it knows none of our types, speaks bytes and nanoseconds, and answers a failed
// call with the call, its object and the system's reason.
//
// Leaves to `Node` and `Client` what is read, written and waited for, and to `Journal` what a file means.
