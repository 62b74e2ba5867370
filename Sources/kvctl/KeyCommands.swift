internal import RoostClient
internal import RoostPlatform

/// Implements `kvctl put KEY VALUE [--if-absent]`.
enum Put {
  static func run(_ arguments: inout Arguments) async throws(UsageError) -> Int32 {
    let target = try Target(&arguments)
    let ifAbsent = try arguments.flag("if-absent")
    let key = try arguments.next("KEY", of: "put")
    let text = try arguments.next("VALUE", of: "put")
    try arguments.finish("put")
    let value = text == "-" ? Process.readInput(limit: 1 << 20) : Array(text.utf8)
    guard let value else { throw UsageError("the value is over the limit of 1 MiB") }
    return await target.run { (cluster) async throws(ClientError) in
      if ifAbsent {
        if try await cluster.putIfAbsent(Array(key.utf8), value) { return ExitCode.done }
        Process.complain("'\(key)' has a value already, which stays")
        return ExitCode.conditionNotMet
      }
      print("revision \(try await cluster.put(Array(key.utf8), value))")
      return ExitCode.done
    }
  }
}

/// Implements `kvctl get KEY [--local]`.
enum Get {
  static func run(_ arguments: inout Arguments) async throws(UsageError) -> Int32 {
    let target = try Target(&arguments)
    let consistency: ReadConsistency = try arguments.flag("local") ? .local : .linearizable
    let key = try arguments.next("KEY", of: "get")
    try arguments.finish("get")
    return await target.run { (cluster) async throws(ClientError) in
      guard let found = try await cluster.get(Array(key.utf8), consistency) else {
        Process.complain("'\(key)' has no value")
        return ExitCode.notFound
      }
      if Process.outputIsTerminal {
        print(printable(found.value))
      } else {
        Process.write(found.value)
      }
      return ExitCode.done
    }
  }

  /// The value for a person's eyes: a terminal must not obey what somebody has stored.
  private static func printable(_ bytes: [UInt8]) -> String {
    guard let text = String(validating: bytes, as: UTF8.self) else {
      return bytes.map { byte in
        (0x20..<0x7F).contains(byte)
          ? String(UnicodeScalar(byte)) : "\\x" + String(byte, radix: 16, uppercase: false).padded
      }.joined()
    }
    var output = ""
    for scalar in text.unicodeScalars {
      let isControl = scalar.properties.generalCategory == .control
      if isControl, scalar != "\n", scalar != "\t" {
        output += scalar.escaped(asASCII: true)
      } else {
        output.unicodeScalars.append(scalar)
      }
    }
    return output
  }
}

extension String {
  /// Two digits at least.
  fileprivate var padded: String { count < 2 ? "0" + self : self }
}

/// Implements `kvctl del KEY`.
enum Del {
  static func run(_ arguments: inout Arguments) async throws(UsageError) -> Int32 {
    let target = try Target(&arguments)
    let key = try arguments.next("KEY", of: "del")
    try arguments.finish("del")
    return await target.run { (cluster) async throws(ClientError) in
      guard try await cluster.delete(Array(key.utf8)) else {
        Process.complain("'\(key)' has no value")
        return ExitCode.notFound
      }
      return ExitCode.done
    }
  }
}

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
  fileprivate var milliseconds: Int64 {
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
