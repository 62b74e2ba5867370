// kvbench: what single parts cost, without a cluster.
//
// Owns loads that drive one module as hard as it goes, and the clock that reads what it took. It leaves to others
// whole nodes and clusters, which `cluster.sh` and `kvctl` put under load.

let words = CommandLine.arguments.dropFirst()
switch words.first {
case "state":
  let keys = words.dropFirst().first.flatMap { Int($0) } ?? 1_000_000
  StateBenchmark(keys: keys, parts: Array(words.dropFirst(2))).run()
case "client": ClientBenchmark.run()
case "journal": try JournalBenchmark(in: words.dropFirst().first ?? ".").run()
case "restart": try RestartBenchmark(in: words.dropFirst().first ?? ".").run()
default:
  print(
    """
    usage: kvbench state [KEYS [PART ...]]   the state machine: get, put, lock, lease, watch, copy,
                                             snapshot
           kvbench client                    the client machine, against a peer that answers everything
           kvbench journal [DIRECTORY]       the log, beside a bare loop of write and fdatasync
           kvbench restart [DIRECTORY]       opening a log of a million entries
    """
  )
}
