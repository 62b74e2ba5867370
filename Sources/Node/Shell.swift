internal import RoostJournal
internal import RoostPlatform
internal import RoostRaft
internal import RoostReplica
internal import RoostWire

/// What performs for one ``Replica``: the loop's turns, the connections, the links and the journal.
///
/// A turn: read every ready socket once and step the replica for each frame; let it close its batch; send what may leave;
/// write and sync; apply and reply; flush each connection once. The loop's thread alone touches any of it.
final class Shell {
  enum Token {
    static let listener: UInt64 = 0
    static let disk: UInt64 = 1
    static let firstConnection: UInt64 = 16
  }

  /// How often links are dialled anew and silent connections are looked for.
  static let housekeepingInterval = Duration.milliseconds(50)
  /// Connections above the limit that are adopted to be told so when they have said hello.
  static let refusalRoom = 64
  /// How much one connection may bring in one turn, so that none starves the others.
  static let readByteCount = 1 << 18

  let configuration: NodeConfiguration
  let checked: CheckedConfiguration
  let loop: EventLoop
  let listener: Socket
  /// Where the listener really is: the port is known only now if 0 was asked for.
  let listenAddress: SocketAddress
  let startedAt: Instant

  var replica: Replica
  var effects = ReplicaEffects()
  let journal: NodeJournal

  var connections: [UInt64: Connection] = [:]
  var links: [PeerLink] = []
  /// For each member that has dialled this node its newest connection.
  var inbound: [NodeID: Connection] = [:]
  /// The version of the membership that was logged last.
  var reportedMembership: UInt64 = 0
  /// For each session the connection that its news go to.
  var sessionRoutes: [SessionID: UInt64] = [:]
  var nextProgressNote: Instant
  /// Connections with something to send or to change at the end of the turn.
  var dirty: [Connection] = []
  /// Connections with events of watches, which leave over a few of them a turn.
  var watching = WatchingConnections()
  var nextToken = Token.firstConnection
  var nextHousekeeping: Instant
  var nextDiskRetry: Instant
  var now: Instant
  var scratch = [UInt8](repeating: 0, count: Shell.readByteCount)
  /// Set while the node ends.
  var ending: Ending?
  /// Connections that had not said hello when they came, the oldest first, and how many of them are dealt with.
  var greeting: [UInt64] = []
  var firstGreeting = 0
  var nextInspection: Instant
  /// What has happened to connections since the start.
  var counters: [StatusField: UInt64] = [:]
  /// Connections at most, as configured or as many as the process may have.
  let connectionLimit: Int
  /// While the system has no descriptor left, the listener rests until then instead of spinning.
  var acceptsAgainAt: Instant?

  init(_ configuration: NodeConfiguration, loop: EventLoop) throws(NodeError) {
    let checked = try configuration.checked()
    self.configuration = configuration
    self.checked = checked
    self.loop = loop
    let now = Instant(nanoseconds: Machine.monotonicNanoseconds())
    self.now = now
    startedAt = now
    nextHousekeeping = now
    nextInspection = now
    nextProgressNote = now.advanced(by: configuration.limits.progressInterval)
    nextDiskRetry = now
    connectionLimit = Shell.connectionLimit(of: configuration)
    (journal, replica) = try Shell.recover(configuration, checked, now: now)
    do throws(SystemError) {
      listener = try Socket.listening(at: checked.listen)
      listenAddress =
        checked.listen.port == 0
        ? checked.listen.withPort(try listener.localPort()) : checked.listen
      try loop.register(listener.descriptor.number, token: Token.listener)
    } catch {
      throw .listen(Shell.sentence(for: error, at: checked.listen))
    }
    try journal.register(on: loop, token: Token.disk)
    alignLinks()
  }

  /// Leaves descriptors for the log and its snapshots, and for a few connections that are only told that there is no room.
  private static func connectionLimit(of configuration: NodeConfiguration) -> Int {
    let wanted = configuration.limits.connections
    let room = max(16, Process.descriptorLimit - 64 - refusalRoom)
    guard room < wanted else { return wanted }
    configuration.log?(
      .info,
      "takes \(room) connections at most instead of \(wanted), since the process may have \(Process.descriptorLimit) files open (ulimit -n)"
    )
    return room
  }

  private static func sentence(for error: SystemError, at address: SocketAddress) -> String {
    error.isAddressInUse
      ? "\(address) is in use by another program; end it, or listen elsewhere" : "\(error)"
  }

  /// Takes one turn, and answers when the next one is due at the latest; nil ends the loop.
  func turn(ready: [Readiness]) -> UInt64? {
    now = max(now, Instant(nanoseconds: Machine.monotonicNanoseconds()))
    // A node that was paused first sees how late it is: what waits in its sockets may be older than its right to answer it.
    replica.tick(now: now)
    for place in ready { handle(place) }
    perform()
    if now >= nextHousekeeping { keepHouse() }
    flush()
    flushWatchEvents()
    if ending != nil, advanceEnding() { return endTurn() }
    guard watching.isEmpty else {
      // Writes come before their news: those who take part in the next one may wait for this processor.
      Thread.yield()
      return 0
    }
    return min(replica.nextDeadline, nextHousekeeping).nanoseconds
  }

  private func handle(_ place: Readiness) {
    switch place.token {
    case Token.listener: acceptAll()
    // What the disk has done is taken in when the turn takes effect.
    case Token.disk: journal.clearNotification()
    default:
      guard let connection = connections[place.token] else { return }
      if case .connecting = connection.phase {
        finishConnecting(connection)
      } else {
        if place.canWrite { markDirty(connection) }
        if place.canRead || place.isBroken { read(connection) }
      }
    }
  }

  private func endTurn() -> UInt64? {
    connections.removeAll()
    return nil
  }

  /// Lets the turn take effect, and sends, stores and answers until nothing more is asked for.
  ///
  /// One bounded step of applying is done. The next one is another turn's, so that what was answered leaves before it.
  func perform() {
    var isDone = false
    var applying = Replica.applyByteLimit
    while !isDone {
      takeDiskReport()
      replica.finishTurn(now: now, into: &effects)
      isDone = effects.isEmpty
      // Followers work while the own disk does, and both while this node applies.
      route(effects.messages)
      effects.messages.removeAll(keepingCapacity: true)
      routeForwards()
      routeReplies()
      routeNews()
      reportChanges()
      if effects.membershipChanged { membershipChanged() }
      performDiskWork()
      replica.applyCommitted(now: now, byteLimit: applying, into: &effects)
      applying = 0
      isDone = isDone && effects.isEmpty
    }
  }

  func count(_ field: StatusField, _ more: Int = 1) {
    counters[field, default: 0] += UInt64(more)
  }

  func log(_ level: LogLevel, _ text: @autoclosure () -> String) {
    configuration.log?(level, text())
  }

  // MARK: Connections that have something to send

  func markDirty(_ connection: Connection) {
    guard !connection.isDirty else { return }
    connection.isDirty = true
    dirty.append(connection)
  }

  private func flush() {
    let pending = dirty
    dirty.removeAll(keepingCapacity: true)
    for connection in pending {
      connection.isDirty = false
      flush(connection)
    }
  }

  func flush(_ connection: Connection) {
    if case .connecting = connection.phase { return }
    let limit = configuration.limits.outboxBytes
    do throws(SystemError) {
      let wasReading = connection.stream.isReading
      try connection.stream.flush(on: loop, readingUpTo: limit)
      if wasReading, !connection.stream.isReading { count(.flooding) }
    } catch {
      return close(connection, because: "\(error)")
    }
    if connection.watches { noteSentEvents(connection) }
    if connection.stream.waitingByteCount > 4 * limit {
      count(.slow)
      close(connection, because: "it does not read its answers")
    }
  }
}
