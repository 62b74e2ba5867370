internal import RoostClient
internal import RoostPlatform

/// Implements `kvctl watch`.
enum WatchCommand {
  static let explanation = """
    usage: kvctl watch KEY [--prefix] [--from REVISION] [--limit N] [--previous] [--json]

    Prints every change of KEY, or of all keys that begin with KEY, as it happens, each once: revision, put or del, key and value between
    tabs. It goes on by itself when servers fail. --from also tells what has happened since that revision; to go on where an earlier watch
    ended, give the last revision that it printed plus 1. --limit ends after N changes. Exit code 10 if the history from REVISION on is gone;
    the oldest usable revision is printed. Ends at Ctrl-C with exit code 130.
    """

  static func run(_ arguments: inout Arguments) async throws(UsageError) -> Int32 {
    let target = try Target(&arguments)
    let isPrefix = try arguments.flag("prefix")
    let revision = try arguments.number(of: "from")
    let limit = try arguments.number(of: "limit") ?? .max
    let isJson = try arguments.flag("json")
    var options = WatchOptions()
    options.wantsPrevious = try arguments.flag("previous")
    let key = Array(try arguments.next("KEY", of: "watch").utf8)
    try arguments.finish("watch")
    return await target.run { [options] (cluster) async throws(ClientError) in
      do throws(ClientError) {
        let keys: Keys = isPrefix ? .prefix(key) : .key(key)
        let watch = try await cluster.watch(keys, from: revision, options)
        Process.complain("watching; Ctrl-C ends it")
        var changes = watch.makeAsyncIterator()
        var count: UInt64 = 0
        while count < limit, let change = try await changes.next() {
          let line = isJson ? "\(change.json)" : line(for: change, options)
          // Whoever reads this has gone.
          guard Process.write(Array((line + "\n").utf8)) else { return ExitCode.done }
          count += 1
        }
        return ExitCode.done
      } catch {
        guard case .compacted(let oldest) = error else { throw error }
        Process.complain("error: \(error)")
        print("oldest \(oldest)")
        return ExitCode.compacted
      }
    }
  }

  private static func line(for change: Change, _ options: WatchOptions) -> String {
    var fields = [
      "\(change.revision)", change.value == nil ? "del" : "put", Output.field(change.key),
    ]
    if let value = change.value { fields.append(Output.field(value)) }
    if options.wantsPrevious, let previous = change.previous {
      fields.append("previous " + Output.field(previous.value))
    }
    return fields.joined(separator: "\t")
  }
}

extension Change {
  var json: Json {
    var fields: [(String, Json)] = [("revision", .count(revision)), Json.field("key", key)]
    switch kind {
    case .put(let value): fields.append(("put", value.json))
    case .removed: fields.append(("removed", .flag(true)))
    }
    if let previous { fields.append(("previous", previous.json)) }
    return .object(fields)
  }
}
