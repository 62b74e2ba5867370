internal import RoostPlatform
internal import RoostReplica
internal import RoostStateMachine
internal import RoostWire

/// The watch events of one connection that have not left this node, as far as it must know.
struct UnsentEvents {
  private var ends: [(end: UInt64, byteCount: Int)] = []
  private var first = 0

  /// Notes events that end with that byte of the connection's stream, counted from its start.
  mutating func add(_ byteCount: Int, endingAt end: UInt64) {
    if first > 64, first > ends.count / 2 {
      ends.removeFirst(first)
      first = 0
    }
    ends.append((end, byteCount))
  }

  /// The bytes of events that have left, once that many bytes of the stream have.
  mutating func take(sentThrough sent: UInt64) -> Int {
    var byteCount = 0
    while first < ends.count, ends[first].end <= sent {
      byteCount += ends[first].byteCount
      first += 1
    }
    if first == ends.count {
      ends.removeAll(keepingCapacity: ends.count < 1024)
      first = 0
    }
    return byteCount
  }
}

/// Connections with events of watches to send, each once, in the order in which they began to wait.
///
/// It has their tokens alone: one that is closed meanwhile must not stay for its sake.
struct WatchingConnections {
  private var tokens: [UInt64] = []
  private var first = 0

  var isEmpty: Bool { first == tokens.count }

  mutating func add(_ connection: Connection) {
    guard !connection.hasEvents else { return }
    connection.hasEvents = true
    tokens.append(connection.token)
  }

  /// Takes out the one that has waited longest.
  mutating func next() -> UInt64? {
    guard first < tokens.count else { return nil }
    let token = tokens[first]
    first += 1
    if first == tokens.count || first > 1024 {
      tokens.removeFirst(first)
      first = 0
    }
    return token
  }
}

/// What clients are told unasked: which connection it goes to, and when it has left.
extension Shell {
  /// How many sessions of one connection are told news on it; the oldest is forgotten for one more.
  static let sessionLimitOfConnection = 4096
  /// Over how many connections events of watches leave in one turn.
  static let watchSendLimit = 3

  /// Remembers over which connection a session sends; `body` is a request, or what claims to be one.
  func noteSession(of body: borrowing Span<UInt8>, on connection: Connection) {
    var input = body.extracting(...)
    guard let number = try? input.read(UInt64.self) else { return }
    let session = SessionID(number)
    guard session != connection.lastSession, session != .zero else { return }
    connection.lastSession = session
    let earlier = sessionRoutes.updateValue(connection.token, forKey: session)
    guard earlier != connection.token else { return }
    if let earlier, let other = connections[earlier] {
      other.sessions.removeAll { $0 == session }
      // Should it send there again, that must be noticed.
      other.lastSession = .zero
    }
    connection.sessions.append(session)
    if connection.sessions.count > Self.sessionLimitOfConnection {
      sessionRoutes[connection.sessions.removeFirst()] = nil
    }
  }

  func routeNews() {
    guard !effects.news.isEmpty else { return }
    for news in effects.news.locks {
      guard let token = sessionRoutes[news.session], let connection = connections[token] else {
        continue
      }
      let bytes = effects.news.lockBytes.span.extracting(news.range)
      append(bytes, about: news.session.rawValue, to: connection)
      markDirty(connection)
    }
    routeWatchEvents()
    effects.news.removeAll()
  }

  private func routeWatchEvents() {
    guard !effects.news.watches.events.isEmpty else { return }
    var last: Connection?
    var eventCount = 0
    for (token, watchCount, range) in effects.news.watches.events {
      eventCount += watchCount
      if last?.token != token {
        last = connections[token]
        if let last { watching.add(last) }
      }
      guard let connection = last else { continue }
      let bytes = effects.news.watches.bytes.span.extracting(range)
      append(bytes, about: 0, to: connection)
      let waiting = UInt64(connection.stream.waitingByteCount)
      let end = connection.stream.totalSentByteCount + waiting
      connection.unsentEvents.add(range.count, endingAt: end)
    }
    count(.events, eventCount)
  }

  /// Lets events of watches leave over a few connections.
  ///
  /// Replies and messages to members do not wait for more of them: what comes to many connections at once leaves over several turns,
  /// between which the node looks at its sockets. So what later writes have to tell leaves in the same send where
  /// the node is busy, and at once where it is idle.
  func flushWatchEvents() {
    var sendCount = 0
    while sendCount < Self.watchSendLimit, let token = watching.next() {
      guard let connection = connections[token] else { continue }
      connection.hasEvents = false
      // They may have left together with a reply.
      guard connection.stream.waitingByteCount > 0 else { continue }
      flush(connection)
      sendCount += 1
    }
  }

  private func append(
    _ event: borrowing Span<UInt8>,
    about session: UInt64,
    to connection: Connection
  ) {
    connection.stream.append { output in
      let start = output.beginFrame(.event, correlation: session)
      output.append(contentsOf: event)
      output.endFrame(startedAt: start)
    }
  }

  /// After a flush: what has left makes room for further events.
  func noteSentEvents(_ connection: Connection) {
    let byteCount = connection.unsentEvents.take(
      sentThrough: connection.stream.totalSentByteCount
    )
    if byteCount > 0 { replica.didSendEvents(byteCount, on: connection.token) }
  }

  /// A connection is gone: nobody is told anything over it.
  func forgetNews(for connection: Connection) {
    for session in connection.sessions where sessionRoutes[session] == connection.token {
      sessionRoutes[session] = nil
    }
    connection.sessions = []
    if connection.watches { replica.lostWatcher(connection.token) }
  }
}
