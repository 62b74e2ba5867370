import RoostPlatform
import RoostWire

/// Finds the node that leads by the hellos of all.
struct LeaderSearch {
  let options: LoadOptions

  /// Asks again until some node says that it leads.
  func run(within seconds: Double = 20) throws(LoadError) -> SocketAddress {
    let start = Machine.monotonicNanoseconds()
    while true {
      if let leader = try ask() { return leader }
      guard Machine.monotonicNanoseconds() - start < UInt64(seconds * 1e9) else {
        let names = options.endpoints.map(\.description).joined(separator: ", ")
        throw LoadError("no node of \(names) leads after \(Int(seconds)) s")
      }
    }
  }

  private func ask() throws(LoadError) -> SocketAddress? {
    let load = try Load(options)
    load.toleratesBreaks = true
    load.addLinks(options.endpoints.count, to: options.endpoints)
    let scouts = load.links.compactMap { $0 as? RoostLink }
    for scout in scouts {
      scout.isScout = true
      do throws(SystemError) { try scout.open() } catch { throw LoadError("\(error)") }
    }
    defer { load.close() }
    load.readClock()
    let deadline = load.now + 300_000_000
    while load.now < deadline, scouts.contains(where: { !$0.isClosed && $0.hello == nil }) {
      try load.turn(until: load.now + 10_000_000)
    }
    let hellos = scouts.compactMap(\.hello)
    for scout in scouts {
      guard let hello = scout.hello else { continue }
      // The node itself must know it, and most of the others too: a deposed leader may not have heard yet.
      let followers = hellos.count { $0.leader == hello.node }
      if hello.leader == hello.node, followers * 2 > options.endpoints.count {
        return scout.address
      }
    }
    // Give an election time.
    load.readClock()
    try load.turn(until: load.now + 50_000_000)
    return nil
  }
}
