// kvbench: what a cluster does under load, and what single parts cost without one.
//
// Owns the loads, on a cluster and on one module alone, the clock that reads what they took, and the protocols of other systems
// as far as the same load needs them. It leaves to others what the figures mean: `Docs/BENCHMARKS.md`.

import Glibc
import RoostPlatform

let words = Array(CommandLine.arguments.dropFirst())
switch words.first {
case "state":
  Memory.keepWhatIsFreed()
  let keys = words.dropFirst().first.flatMap { Int($0) } ?? 1_000_000
  StateBenchmark(keys: keys, parts: Array(words.dropFirst(2))).run()
case "shapes":
  Memory.keepWhatIsFreed()
  StateShapes(count: words.dropFirst().first.flatMap { Int($0) } ?? 100_000).run()
case "client": ClientBenchmark.run()
case "journal":
  let shapes = words.dropFirst(2).compactMap { JournalBenchmark.Shape($0) }
  try JournalBenchmark(in: words.dropFirst().first ?? ".", shapes: shapes).run()
case "restart": try RestartBenchmark(in: words.dropFirst().first ?? ".").run()
case "table":
  let lines = words.dropFirst().flatMap { ServerMeter.lines($0) }
  print(ComparisonTable(lines: lines).markdown, terminator: "")
default:
  if let verb = words.first.flatMap({ Verb(rawValue: $0) }) {
    exit(LoadCommand.run(verb, Array(words.dropFirst())))
  }
  print(
    LoadOptions.usage + """


      usage: kvbench state [KEYS [PART ...]]   the state machine: get, put, lock, lease, watch, copy,
                                               snapshot
             kvbench shapes [COUNT]            its longest pauses, with very much of one thing at a time
             kvbench client                    the client machine, against a peer that answers everything
             kvbench journal [DIRECTORY [BATCHxBYTES ...]]
                                               the log, beside a bare loop of write and fdatasync
             kvbench restart [DIRECTORY]       opening a log of a million entries
             kvbench table FILE ...            lines of several systems as one table
      """
  )
  exit(words.isEmpty || ["help", "--help", "-h"].contains(words[0]) ? 0 : 2)
}
