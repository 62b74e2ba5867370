internal import RoostPlatform
internal import RoostWire

/// One connection: its stream of bytes, who is at the other end, and the front of a frame whose rest has not come.
final class Connection {
  enum Phase {
    /// Opened by us; the kernel has not decided yet.
    case connecting
    /// Waits for the other side's hello, or for the answer to ours.
    case greeting(until: Instant)
    case open
  }

  /// Who is at the other end, once it said so.
  enum Peer: Equatable {
    case unknown
    case client
    case member(NodeID)
  }

  let stream: ByteStream
  /// Where it leads, if this node opened it.
  let address: SocketAddress?
  var phase: Phase
  var peer: Peer = .unknown
  var partial: [UInt8] = []
  /// When the frame whose front is in ``partial`` began.
  var partialSince = Instant(nanoseconds: 0)
  /// The session whose request came last, and all whose news go here.
  var lastSession = SessionID.zero
  var sessions: [SessionID] = []
  /// Whether watches were asked for on it.
  var watches = false
  var unsentEvents = UnsentEvents()
  /// Whether it waits for its turn to send events of watches, in the shell's list.
  var hasEvents = false
  /// Whether the shell has it on its list for the end of the turn.
  var isDirty = false

  var token: UInt64 { stream.token }

  init(_ stream: ByteStream, address: SocketAddress?, phase: Phase) {
    self.stream = stream
    self.address = address
    self.phase = phase
  }
}
