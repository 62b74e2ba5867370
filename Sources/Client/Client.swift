// RoostClient: the cluster from an application's point of view.
//
// Owns the public API, a thread with its event loop, and the sockets that the `ClientMachine` asks for. It moves bytes and
// hands out answers; which node is asked, what is sent again and what a failure means is the machine's.
//
// Leaves recipes made of several calls to `Recipes`.
