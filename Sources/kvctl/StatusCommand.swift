internal import RoostClient
internal import RoostPlatform

/// Implements `kvctl status`.
enum Status {
  static func run(_ arguments: inout Arguments) async throws(UsageError) -> Int32 {
    let target = try Target(&arguments)
    try arguments.finish("status")
    return await target.run { (cluster) async throws(ClientError) in
      let reports = await cluster.status()
      if Process.outputIsTerminal { printTable(reports) } else { printLines(reports) }
      let states = reports.compactMap(\.status)
      if states.isEmpty {
        Process.complain("error: no server answered (\(reports.count) tried)")
        Process.complain(
          "hint: start a local cluster with ./cluster.sh start, or name others with --endpoints"
        )
        return ExitCode.unreachable
      }
      let divergent = states.divergent
      guard divergent.isEmpty else {
        let names = divergent.map { "\($0)" }.joined(separator: " and ")
        Process.complain(
          "error: servers \(names) applied the same entries, and their states differ"
        )
        Process.complain(
          "hint: compare what they serve (get --local), keep their directories, and replace the one that is wrong (member replace)"
        )
        return ExitCode.failed
      }
      // A leader serves if it has committed in its term and a majority of those asked follows it.
      let newest = states.map(\.term).max() ?? 0
      guard let leader = states.first(where: { $0.role == .leader && $0.term == newest }) else {
        return ExitCode.noQuorum
      }
      let followers = states.filter { $0.leader == leader.id && $0.term == newest }
      return followers.count * 2 > reports.count ? ExitCode.done : ExitCode.noQuorum
    }
  }

  private static func printLines(_ reports: [MemberReport]) {
    for report in reports {
      guard let state = report.status else {
        print("-\t\(report.address)\tdown\t\(report.failure ?? "")")
        continue
      }
      let fields: [String] = [
        "\(state.id)", report.address, state.role.rawValue, "\(state.term)",
        "\(state.leader ?? 0)", "\(state.committed)", "\(state.applied)", "\(state.revision)",
        "\(state.quiet.milliseconds)", "\(state.uptime.milliseconds)",
      ]
      print(fields.joined(separator: "\t"))
    }
  }

  private static func printTable(_ reports: [MemberReport]) {
    var rows = [
      ["NODE", "ADDRESS", "ROLE", "TERM", "COMMITTED", "APPLIED", "REVISION", "UP", "LOG"]
    ]
    for report in reports {
      guard let state = report.status else {
        rows.append(["-", report.address, "down", report.failure ?? "no answer"])
        continue
      }
      rows.append([
        "\(state.id)", report.address, state.role.rawValue, "\(state.term)", "\(state.committed)",
        "\(state.applied)", "\(state.revision)", state.uptime.short, state.journal,
      ])
    }
    let columns = rows[0].indices
    // A failure runs on over the columns behind it, so it does not widen them.
    let widths = columns.map { column in
      rows.filter { $0.count == columns.count }.map { $0[column].count }.max() ?? 0
    }
    for row in rows {
      let cells = row.enumerated().map { column, text in
        text + String(repeating: " ", count: max(0, widths[column] - text.count))
      }
      print(cells.joined(separator: "  "))
    }
  }
}

extension Duration {
  var milliseconds: Int64 {
    components.seconds * 1000 + components.attoseconds / 1_000_000_000_000_000
  }

  /// As a person says it: 12 s, 5 min, 3 h, 2 d.
  fileprivate var short: String {
    let seconds = components.seconds
    if seconds < 120 { return "\(seconds) s" }
    if seconds < 7200 { return "\(seconds / 60) min" }
    return seconds < 172_800 ? "\(seconds / 3600) h" : "\(seconds / 86_400) d"
  }
}
