import RoostPlatform

extension LoadOptions {
  /// Reads the words behind a verb.
  init(_ verb: Verb, parsing words: [String]) throws(LoadError) {
    self.init(verb)
    var rest = words[...]
    var outstanding: Int?
    var connections: Int?
    while let word = rest.popFirst() {
      guard word.hasPrefix("--") else { throw LoadError("'\(word)' is not an option") }
      let halves = word.dropFirst(2).split(separator: "=", maxSplits: 1).map(String.init)
      let name = halves.first ?? ""
      if try takeFlag(name) { continue }
      guard let value = halves.count == 2 ? halves[1] : rest.popFirst() else {
        throw LoadError("--\(name) needs a value")
      }
      switch name {
      case "outstanding": outstanding = try Self.whole(name, value, 1...1_000_000)
      case "connections": connections = try Self.whole(name, value, 1...60_000)
      default: try take(name, value)
      }
    }
    self.connections = connections ?? (outstanding == nil ? min(clients, 100) : 1)
    if let outstanding { clients = outstanding * self.connections }
    self.connections = min(self.connections, clients)
    try check()
  }

  private mutating func takeFlag(_ name: String) throws(LoadError) -> Bool {
    switch name {
    case "no-fill": fills = false
    case "spread": spreads = true
    case "quiet": isQuiet = true
    default: return false
    }
    return true
  }

  private mutating func take(_ name: String, _ value: String) throws(LoadError) {
    switch name {
    case "clients": clients = try Self.whole(name, value, 1...1_000_000)
    case "keys": keys = UInt64(try Self.whole(name, value, 1...1_000_000_000))
    case "key-bytes": keyBytes = try Self.whole(name, value, 8...8192)
    case "value-bytes": valueBytes = try Self.whole(name, value, 0...(1 << 20))
    case "reads": readPercent = try Self.whole(name, value, 0...100)
    case "watchers": watchers = try Self.whole(name, value, 1...100_000)
    case "leases": leases = try Self.whole(name, value, 1...1_000_000)
    case "kills": kills = try Self.whole(name, value, 1...1000)
    case "replicas": replicas = try Self.whole(name, value, 0...8)
    case "nodes": nodes = try Self.whole(name, value, 1...9)
    case "seconds": seconds = try Self.number(name, value, above: 0)
    case "warmup": warmUp = try Self.number(name, value, above: -1)
    case "rate": rate = try Self.number(name, value, above: 0)
    case "tag": tag = value
    case "data": dataDirectory = value
    case "server": serverOptions = value.split(separator: " ").map(String.init)
    case "endpoints": endpoints = try Self.list(value) { SocketAddress($0) }
    case "pids": processes = try Self.list(value) { Int32($0) }
    case "system":
      guard let system = System(rawValue: value) else {
        let known = System.allCases.map(\.rawValue).joined(separator: ", ")
        throw LoadError("--system takes one of \(known), not '\(value)'")
      }
      self.system = system
    default: throw LoadError("there is no option --\(name); 'kvbench help' lists them")
    }
  }

  private func check() throws(LoadError) {
    guard system.verbs.contains(verb) else {
      throw LoadError("\(verb.rawValue) is no load for \(system)")
    }
    guard system == .roost || !endpoints.isEmpty else {
      throw LoadError("--endpoints says where \(system) runs; only roost is started from here")
    }
    let each = (clients + connections - 1) / connections
    guard system != .roost || each <= RoostLink.window else {
      throw LoadError(
        "\(each) requests on a connection are more than a session's \(RoostLink.window): add connections"
      )
    }
    guard verb != .watch || valueBytes >= 16 else {
      throw LoadError("watch needs values of 16 bytes or more, for the time in them")
    }
  }

  private static func whole(
    _ name: String,
    _ value: String,
    _ range: ClosedRange<Int>
  ) throws(LoadError) -> Int {
    guard let number = Int(value), range.contains(number) else {
      throw LoadError(
        "--\(name) takes a number from \(range.lowerBound) to \(range.upperBound), not '\(value)'"
      )
    }
    return number
  }

  private static func number(
    _ name: String,
    _ value: String,
    above least: Double
  ) throws(LoadError) -> Double {
    guard let number = Double(value), number.isFinite, number > least else {
      throw LoadError("--\(name) takes a number above \(least), not '\(value)'")
    }
    return number
  }

  private static func list<Element>(
    _ value: String,
    _ element: (String) -> Element?
  ) throws(LoadError) -> [Element] {
    var all: [Element] = []
    for word in value.split(separator: ",") {
      guard let one = element(String(word)) else {
        throw LoadError("'\(word)' in '\(value)' can't be read")
      }
      all.append(one)
    }
    return all
  }
}
