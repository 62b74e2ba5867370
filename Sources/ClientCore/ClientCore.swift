// RoostClientCore: what a client does, without a socket.
//
// Owns the search for a node that serves, the identity of each request (session and sequence, or a one-shot id), retries that
// stay the same request, deadlines, and the judgement whether a failed call may have happened. Pure: links come
// up, bring bytes and break; calls come in; effects go out. The simulator drives the same machine as `Client` does.
//
// Leaves sockets and threads to `Client`, and what commands mean to `StateMachine`.
