package import RoostWire

/// One address of the cluster, and the link to it.
package struct Endpoint: Sendable {
  enum State: Sendable {
    case idle
    case connecting(since: Instant)
    case greeting(since: Instant)
    case open
  }

  package let address: String
  /// Which member answered there last.
  package internal(set) var node = NodeID.zero
  var state = State.idle
  var link: LinkID?
  /// Calls that are for this endpoint alone and were not sent.
  var pinned = CallTable.Queue()
  /// Calls that were sent over the link and not answered.
  var sent = CallTable.Queue()
  /// Watches, and acquires in queues, that news is expected for over the link.
  var listenerCount = 0
  /// Bytes of a frame whose rest has not come.
  var partial: [UInt8] = []
  var lastHeard = Instant(nanoseconds: 0)
  var askedForSign = false
  /// The cluster's time when the link was opened, and when that was here.
  var clusterTime = ClusterTime.zero
  var openedAt = Instant(nanoseconds: 0)
  var failureCount = 0
  var failure: String?
  var retryAt = Instant(nanoseconds: 0)

  init(address: String) { self.address = address }

  var isOpen: Bool {
    if case .open = state { true } else { false }
  }

  /// Whether the node has something to say, now or later.
  var isBusy: Bool { !sent.isEmpty || listenerCount > 0 }

  mutating func becomeIdle() {
    state = .idle
    link = nil
    partial = []
    askedForSign = false
  }

  /// When the link needs a look: a connection that takes too long, or a node that says nothing.
  func deadline(_ settings: ClientSettings) -> Instant {
    switch state {
    case .idle: .distantFuture
    case .connecting(let since), .greeting(let since): since.advanced(by: settings.connectTimeout)
    case .open:
      !isBusy
        ? .distantFuture
        : lastHeard.advanced(by: askedForSign ? settings.silence * 2 : settings.silence)
    }
  }

  /// What the cluster's time is by now, as far as this link knows.
  func clusterTime(now: Instant) -> ClusterTime {
    ClusterTime(clusterTime.rawValue &+ now.nanoseconds(since: openedAt))
  }
}
