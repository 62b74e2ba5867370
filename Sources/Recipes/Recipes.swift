// RoostRecipes: what people build from a few calls to the cluster, built once and right.
//
// Owns recipes on the public API of `Client`: each is a small type whose steps are single calls that may be repeated. It leaves
// the safety of each call to the cluster, and knows nothing that an application could not know.
//
// So far: ``Claim``. Elections, semaphores, latches and queues follow the locks and watches that they stand on.
