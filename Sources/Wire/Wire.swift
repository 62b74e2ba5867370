// RoostWire: what goes over a connection or into a file, as bytes.
//
// Owns the vocabulary of numbers, the primitives that read and write them, checksums, frames, and the
// requests and replies of clients. Pure: a span in, a value out, or the reason why not.
//
// Leaves to others what the bytes mean: `Raft` and `Journal` define their own messages and records on
// these primitives, `StateMachine` says what a command does, `Platform` moves the bytes.
