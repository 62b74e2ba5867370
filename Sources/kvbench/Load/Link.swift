import Glibc
import RoostPlatform

/// A connection to one server, without words: subclasses speak the language of their system.
///
/// A turn is one receive, all answers that came with it, the requests that follow from them, and one send.
class Link {
  let load: Load
  /// Its place among the load's links, and its token in the poller.
  let number: Int
  let address: SocketAddress
  let input = ByteQueue(capacity: 1 << 18)
  let out = ByteQueue(capacity: 1 << 17)
  /// Whether requests may be sent.
  final var isReady = false
  /// Whether it only listens to what others change.
  final var isWatcher = false
  /// How many of its watches the server has confirmed.
  final var confirmedWatches = 0
  /// How many changes each of its watches was told, if the system names the watch.
  final var heard: [UInt64] = []
  /// Whether it waits for the end of the turn to be flushed.
  final var isTouched = false

  private var socket: Socket?
  private var descriptor: Int32 = -1
  private var isConnecting = false
  private var isWatchedForWriting = false
  private var isLost = false

  private static let receiveSize = 1 << 16

  required init(load: Load, number: Int, address: SocketAddress) {
    self.load = load
    self.number = number
    self.address = address
  }

  // MARK: For subclasses

  /// The connection stands: greet, or be ready.
  func didOpen() { isReady = true }

  /// Forgets what belonged to a connection that is gone.
  func reset() {}

  /// Appends what asks for the work of a slot.
  func send(_ slot: Int) throws(LoadError) {
    preconditionFailure("a system says how it asks")
  }

  /// Takes what has come, and answers how many bytes of it are done with.
  func receive(_ bytes: Span<UInt8>) throws(LoadError) -> Int {
    preconditionFailure("a system says how it answers")
  }

  /// Asks for so many watches of the key that the watch load writes.
  func subscribe(_ count: Int) throws(LoadError) {
    throw LoadError("\(load.options.system) has no watches that this load knows")
  }

  /// Appends a goodbye, if the system knows one.
  func sayGoodbye() {}

  // MARK: The connection

  final var isOpen: Bool { descriptor >= 0 && !isConnecting }
  final var isClosed: Bool { descriptor < 0 }

  final func open() throws(SystemError) {
    let socket = try Socket.connecting(to: address)
    descriptor = socket.descriptor.number
    self.socket = consume socket
    isConnecting = true
    isWatchedForWriting = true
    try load.poller.register(descriptor, token: UInt64(number), forWriting: true)
  }

  final func close() {
    guard descriptor >= 0 else { return }
    socket = nil
    descriptor = -1
    isConnecting = false
    isReady = false
    isLost = false
    input.removeAll()
    out.removeAll()
    reset()
  }

  /// Gives the connection up, as if it had broken.
  final func loseHope(_ reason: String) throws(LoadError) {
    isLost = true
    try load.didLose(self, because: reason)
  }

  /// Takes what the poller has seen; a system error closes the connection and is handed on.
  final func handle(_ ready: Readiness) throws(LoadError) {
    guard descriptor >= 0 else { return }
    do throws(SystemError) {
      if isConnecting {
        if let failure = socket?.connectionError(to: address) { throw failure }
        isConnecting = false
        didOpen()
      }
      if ready.canRead || ready.isBroken {
        guard let filled = try input.receive(from: descriptor, atMost: Self.receiveSize) else {
          throw SystemError("the server closed the connection", errno: ECONNRESET)
        }
        _ = filled
      }
    } catch {
      close()
      return try load.didLose(self, because: "\(error)")
    }
    load.readClock()
    if !input.isEmpty {
      let taken = try input.withBytes { bytes throws(LoadError) in try receive(bytes) }
      input.remove(taken)
    }
    // What is being read must not be freed meanwhile, so that the end waits until here.
    if isLost { return close() }
    try flush()
  }

  /// Sends what waits, as far as the kernel takes it.
  final func flush() throws(LoadError) {
    guard descriptor >= 0, !isConnecting else { return }
    do throws(SystemError) {
      try out.send(to: descriptor)
      let waits = !out.isEmpty
      if waits != isWatchedForWriting {
        try load.poller.update(descriptor, token: UInt64(number), forWriting: waits)
        isWatchedForWriting = waits
      }
    } catch {
      close()
      try load.didLose(self, because: "\(error)")
    }
  }
}
