import Glibc
import RoostPlatform

/// The leader is killed; every 5 ms a write is tried at each node that is left, until one succeeds that began after the kill.
struct FailoverRun {
  let options: LoadOptions
  let cluster: LocalCluster?

  func run() throws(LoadError) -> [JSONLine] {
    guard let cluster else { return [try killOnce()] }
    var times: [Double] = []
    for _ in 0..<options.kills {
      let leader = try LeaderSearch(options: options).run()
      guard let place = cluster.addresses.firstIndex(of: leader) else {
        throw LoadError("\(leader) leads and is none of ours")
      }
      var survivors = options
      survivors.endpoints = cluster.addresses.filter { $0 != leader }
      times.append(try measure(survivors) { cluster.kill(place + 1) })
      try cluster.start(place + 1)
      var all = options
      all.endpoints = [leader]
      // The restarted node has to be back before the next one goes.
      _ = try ProbeRun(options: all).run()
    }
    return [report(times)]
  }

  /// Kills the first process of a cluster that others started and will mend.
  private func killOnce() throws(LoadError) -> JSONLine {
    guard let process = options.processes.first, options.endpoints.count > 1 else {
      throw LoadError("failover needs --endpoints and --pids, the leader first in both")
    }
    var survivors = options
    survivors.endpoints.removeFirst()
    return report([try measure(survivors) { _ = Glibc.kill(process, SIGKILL) }])
  }

  /// Answers the milliseconds from the kill to the first success.
  private func measure(_ options: LoadOptions, _ kill: () -> Void) throws(LoadError) -> Double {
    var attempts = try Attempts(options, interval: .milliseconds(5))
    defer { attempts.close() }
    // Some life before, so that connections stand and leases of leaders are fresh.
    let start = Machine.monotonicNanoseconds()
    let warm = start + 1_000_000_000 + Machine.randomBits() % 100_000_000
    _ = try attempts.run(since: .max, until: warm)
    guard attempts.successCount > 0 else {
      throw LoadError("no write succeeds before the kill: \(attempts.lastError)")
    }
    kill()
    let moment = Machine.monotonicNanoseconds()
    guard let end = try attempts.run(since: moment, until: moment + 60_000_000_000) else {
      throw LoadError("no write succeeded within 60 s: \(attempts.lastError)")
    }
    return Double(end - moment) / 1e6
  }

  private func report(_ times: [Double]) -> JSONLine {
    let sorted = times.sorted()
    var line = JSONLine()
    line.add("system", options.system.rawValue)
    line.add("verb", options.verb.rawValue)
    if !options.tag.isEmpty { line.add("tag", options.tag) }
    line.add("kills", times.count)
    line.add("median_ms", sorted[sorted.count / 2], digits: 1)
    line.add("min_ms", sorted.first ?? 0, digits: 1)
    line.add("max_ms", sorted.last ?? 0, digits: 1)
    return line
  }
}
