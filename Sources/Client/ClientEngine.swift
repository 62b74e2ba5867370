internal import RoostClientCore
internal import RoostPlatform
internal import RoostWire

/// The client's loop: performs what the ``ClientMachine`` asks, and wakes the callers that wait.
actor ClientEngine: LoopDriver {
  private struct Link {
    let stream: ByteStream
    let address: SocketAddress
    var isConnecting = true
  }

  private nonisolated let loop: EventLoop
  private var machine: ClientMachine
  private var links: [LinkID: Link] = [:]
  private var waiting: [CallID: CheckedContinuation<CallResult, Never>] = [:]
  /// What the machine has asked for in this turn; performed at its end, so that a turn makes one write a connection.
  private var effects = ClientEffects()
  private var scratch = [UInt8](repeating: 0, count: 1 << 16)
  private var readers = NoticeReaders()
  private let addresses: [SocketAddress]
  private var isClosed = false

  nonisolated var unownedExecutor: UnownedSerialExecutor {
    // SAFETY: the loop lives as long as this actor, which holds it.
    unsafe loop.asUnownedSerialExecutor()
  }

  init(addresses: [SocketAddress], settings: ClientSettings) throws(SystemError) {
    loop = try EventLoop()
    self.addresses = addresses
    let seed = Machine.randomBits()
    machine = ClientMachine(
      endpoints: addresses.map { "\($0)" },
      settings: settings,
      random: SplitMix64(seed: seed)
    )
  }

  nonisolated func start() throws(SystemError) {
    try loop.start(named: "roost-client", driving: self)
  }

  /// Ends the loop; for when nobody can call any more.
  nonisolated func stop() { loop.stop() }

  /// Makes one call and waits for its answer, so long at most; the end of the calling task ends it.
  func call(_ kind: CallKind, within timeout: Duration?) async -> CallResult {
    guard !isClosed else { return .failed(.closed) }
    let now = Self.now
    let deadline = timeout.map { now.advanced(by: $0) } ?? .distantFuture
    let id = machine.call(kind, deadline: deadline, now: now, into: &effects)
    return await withTaskCancellationHandler {
      // The result comes at the end of this turn at the earliest.
      await withCheckedContinuation { waiting[id] = $0 }
    } onCancel: {
      Task { await self.cancel(id) }
    }
  }

  private func cancel(_ id: CallID) { machine.cancel(id, now: Self.now, into: &effects) }

  /// Answers every call that still waits, and closes every connection.
  func close() {
    guard !isClosed else { return }
    isClosed = true
    machine.close(now: Self.now, into: &effects)
    perform()
    readers.endAll()
    loop.stop()
  }

  // MARK: What is told without being asked

  /// The machine's session.
  var session: UInt64? { machine.openSession?.rawValue }

  /// Until when a grant is surely held, on this machine's monotonic clock.
  func surelyHeldUntil(_ token: UInt64) -> UInt64? {
    machine.holds(token) ? machine.surelyHeldUntil?.nanoseconds : nil
  }

  /// Waits until a grant is lost; nil if the waiting task or the client ends first.
  func loss(of token: UInt64) async -> ClientNotice.Loss? {
    guard !isClosed, !Task.isCancelled else { return nil }
    guard machine.holds(token) else { return readers.knownLoss(of: token) }
    let place = readers.nextPlace()
    return await withTaskCancellationHandler {
      await withCheckedContinuation { readers.waitForLoss(of: token, at: place, $0) }
    } onCancel: {
      Task { await self.stopWaiting(at: place) }
    }
  }

  func keep(_ lease: UInt64, ttl: Duration) {
    guard !isClosed else { return }
    machine.keepLease(lease, ttl: ttl, now: Self.now, into: &effects)
    readers.keep(lease)
  }

  func stopKeeping(_ lease: UInt64) {
    machine.stopKeepingLease(lease)
    readers.stopKeeping(lease)
  }

  /// Waits for the end of a kept lease; false if it is not kept, or the waiting task or the client ends first.
  func end(ofLease lease: UInt64) async -> Bool {
    guard !isClosed, !Task.isCancelled else { return false }
    if let hasEnded = readers.hasEnded(lease) { return hasEnded }
    let place = readers.nextPlace()
    return await withTaskCancellationHandler {
      await withCheckedContinuation { readers.waitForEnd(of: lease, at: place, $0) }
    } onCancel: {
      Task { await self.stopWaiting(at: place) }
    }
  }

  private func stopWaiting(at place: UInt64) { readers.stopWaiting(at: place) }

  func watch(_ wanted: WatchRequest) -> WatchID? {
    guard !isClosed else { return nil }
    let id = machine.watch(wanted, now: Self.now, into: &effects)
    readers.open(id)
    return id
  }

  func cancelWatch(_ id: WatchID) {
    guard !isClosed else { return }
    readers.close(id)
    machine.cancelWatch(id, now: Self.now, into: &effects)
  }

  /// The next news of a watch; nil if the reading task or the client ends first.
  func news(of id: WatchID) async -> WatchNews? {
    guard !Task.isCancelled else { return nil }
    let news: WatchNews?
    if readers.hasNews(of: id) || isClosed {
      news = readers.takeNews(of: id)
    } else {
      news = await withTaskCancellationHandler {
        await withCheckedContinuation { readers.wait(for: id, $0) }
      } onCancel: {
        Task { await self.stopReading(id) }
      }
    }
    if case .changes(let changes, _, _) = news {
      let byteCount = changes.reduce(0) { $0 + $1.byteCount }
      machine.didRead(byteCount, of: id, now: Self.now, into: &effects)
    }
    return news
  }

  private func stopReading(_ id: WatchID) { readers.stopReading(id) }

  // MARK: The loop's side

  nonisolated func turn(ready: [Readiness]) -> UInt64? {
    assumeIsolated { $0.takeTurn(ready) }
  }

  private static var now: Instant { Instant(nanoseconds: Machine.monotonicNanoseconds()) }

  private func takeTurn(_ ready: [Readiness]) -> UInt64? {
    for place in ready { handle(place) }
    let now = Self.now
    if now >= machine.nextDeadline { machine.tick(now: now, into: &effects) }
    perform()
    return machine.nextDeadline.nanoseconds
  }

  private func handle(_ place: Readiness) {
    let id = LinkID(place.token)
    guard let link = links[id] else { return }
    if link.isConnecting {
      if let error = link.stream.connectionError(to: link.address) {
        return lose(id, because: error.reason.lowercasedFirst)
      }
      links[id]?.isConnecting = false
      machine.didConnect(id, now: Self.now, into: &effects)
    } else {
      if place.canWrite { flush(id) }
      if place.canRead || place.isBroken { read(id, from: link.stream) }
    }
  }

  private func read(_ id: LinkID, from stream: ByteStream) {
    do throws(SystemError) {
      switch try stream.receive(into: &scratch) {
      case .nothing: return
      case .end: lose(id, because: "it closed the connection")
      case .bytes(let count):
        let bytes = scratch
        machine.didReceive(
          bytes.span.extracting(first: count),
          on: id,
          now: Self.now,
          into: &effects
        )
      }
    } catch {
      lose(id, because: error.reason.lowercasedFirst)
    }
  }

  private func lose(_ id: LinkID, because reason: String) {
    guard links.removeValue(forKey: id) != nil else { return }
    machine.didBreak(id, because: reason, now: Self.now, into: &effects)
  }

  /// Does what the machine asks, until it asks for nothing more.
  private func perform() {
    while !effects.isEmpty {
      let asked = effects
      effects = ClientEffects()
      for close in asked.closes { links.removeValue(forKey: close) }
      for connect in asked.connects { self.connect(connect.link, connect.endpoint) }
      for send in asked.sends {
        links[send.link]?.stream.append { $0 += send.bytes }
        flush(send.link)
      }
      for answer in asked.results {
        waiting.removeValue(forKey: answer.call)?.resume(returning: answer.result)
      }
      for notice in asked.notices { readers.take(notice) }
    }
  }

  private func connect(_ id: LinkID, _ endpoint: Int) {
    let address = addresses[endpoint]
    do throws(SystemError) {
      let socket = try Socket.connecting(to: address)
      let stream = try ByteStream(
        adopting: socket,
        token: id.rawValue,
        isConnecting: true,
        on: loop
      )
      links[id] = Link(stream: stream, address: address)
    } catch {
      machine.didBreak(id, because: error.reason.lowercasedFirst, now: Self.now, into: &effects)
    }
  }

  private func flush(_ id: LinkID) {
    guard let link = links[id], !link.isConnecting else { return }
    do throws(SystemError) {
      try link.stream.flush(on: loop, readingUpTo: .max)
    } catch {
      lose(id, because: error.reason.lowercasedFirst)
    }
  }
}

extension String {
  /// The system's sentence as it reads inside another one.
  fileprivate var lowercasedFirst: String { prefix(1).lowercased() + dropFirst() }
}
