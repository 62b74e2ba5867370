/// A connected socket with the bytes that wait to go out on it.
///
/// The bytes of a whole turn leave in one call. What a slow reader leaves behind stays bounded by its owner: above a
/// limit the stream is no longer read from, so that who does not take answers can't ask more.
package final class ByteStream {
  package let token: UInt64
  private let socket: Socket
  private var outbox: [UInt8] = []
  private var sentByteCount = 0
  private var isWatchedForWriting: Bool
  /// Whether more is read from it; not while too much waits for its reader.
  package private(set) var isReading = true

  /// Takes over a socket and lets `loop` watch it; for writing too while it is being connected.
  package init(
    adopting socket: consuming Socket,
    token: UInt64,
    isConnecting: Bool,
    on loop: EventLoop
  ) throws(SystemError) {
    self.token = token
    self.socket = socket
    isWatchedForWriting = isConnecting
    try loop.register(self.socket.descriptor.number, token: token, forWriting: isConnecting)
  }

  /// How many bytes wait to be sent.
  package var waitingByteCount: Int { outbox.count - sentByteCount }

  /// How many bytes have left since the start.
  package private(set) var totalSentByteCount: UInt64 = 0

  /// Why a connection that was being made failed; nil if it is there.
  package func connectionError(to address: SocketAddress) -> SystemError? {
    socket.connectionError(to: address)
  }

  /// Reads what is there into the front of `buffer`.
  package func receive(into buffer: inout [UInt8]) throws(SystemError) -> ReceiveResult {
    try socket.receive(into: &buffer)
  }

  /// Lets `body` append to what goes out with the next flush.
  package func append(_ body: (inout [UInt8]) -> Void) { body(&outbox) }

  /// Sends what waits, as far as the kernel takes it, and adjusts what the loop watches for.
  package func flush(on loop: EventLoop, readingUpTo limit: Int) throws(SystemError) {
    while waitingByteCount > 0 {
      let count = try socket.send(outbox, from: sentByteCount)
      if count == 0 { break }
      sentByteCount += count
      totalSentByteCount += UInt64(count)
    }
    if waitingByteCount == 0 {
      outbox.removeAll(keepingCapacity: outbox.capacity <= 1 << 18)
      sentByteCount = 0
    } else if sentByteCount > 1 << 20 {
      outbox.removeFirst(sentByteCount)
      sentByteCount = 0
    }
    try watch(on: loop, reading: waitingByteCount <= limit, writing: waitingByteCount > 0)
  }

  private func watch(on loop: EventLoop, reading: Bool, writing: Bool) throws(SystemError) {
    guard reading != isReading || writing != isWatchedForWriting else { return }
    try loop.update(socket.descriptor.number, token: token, reading: reading, writing: writing)
    isReading = reading
    isWatchedForWriting = writing
  }
}
