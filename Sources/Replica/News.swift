package import RoostStateMachine
package import RoostWire

/// News for one request of a session, in ``News/lockBytes``.
package struct LockNews: Equatable, Sendable {
  package let session: SessionID
  package let range: Range<Int>
}

/// What a node tells clients without being asked at that moment.
///
/// Every replica has the same news of locks; each tells those sessions that are connected to it.
package struct News: Sendable {
  package var watches = WatchOutput()
  /// Events about locks, one behind the other.
  package var lockBytes: [UInt8] = []
  package var locks: [LockNews] = []

  package var isEmpty: Bool { locks.isEmpty && watches.events.isEmpty }

  /// Forgets everything and keeps the memory.
  package mutating func removeAll() {
    watches.removeAll()
    lockBytes.removeAll(keepingCapacity: true)
    locks.removeAll(keepingCapacity: true)
  }
}
