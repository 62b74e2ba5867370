import RoostPlatform

/// A system that the load can speak to.
enum System: String, CaseIterable, Sendable, CustomStringConvertible {
  case roost

  var description: String { rawValue }

  func makeLink(_ load: Load, number: Int, address: SocketAddress) -> Link {
    switch self {
    case .roost: RoostLink(load: load, number: number, address: address)
    }
  }

  /// What it can be asked to do.
  var verbs: Set<Verb> {
    switch self {
    case .roost: [.put, .get, .sget, .mix, .lock, .fill]
    }
  }
}
