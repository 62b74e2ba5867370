internal import RoostPlatform
internal import RoostReplica
internal import RoostWire

/// Connections: how they come, greet, bring bytes and go.
extension Shell {
  func acceptAll() {
    if let until = acceptsAgainAt, now < until { return }
    acceptsAgainAt = nil
    do throws(SystemError) {
      // A bounded number a turn: a flood of connections does not keep the node from its work.
      for _ in 0..<64 {
        guard let socket = try listener.accept() else { return }
        adopt(socket)
      }
    } catch {
      // Out of descriptors, most likely. To look again at once would spin, so the listener rests.
      log(.error, "\(error): new connections wait for a second")
      count(.acceptFailures)
      acceptsAgainAt = now.advanced(by: .seconds(1))
      try? loop.update(
        listener.descriptor.number,
        token: Token.listener,
        reading: false,
        writing: false
      )
    }
  }

  private func adopt(_ socket: consuming Socket) {
    count(.accepted)
    // A few more than there may be: they are told so when they have said hello.
    let limit = connectionLimit + Shell.refusalRoom
    makeRoom(below: limit)
    guard connections.count < limit else { return count(.refusedBusy) }
    let deadline = now.advanced(by: configuration.limits.helloDeadline)
    do throws(SystemError) {
      let stream = try ByteStream(
        adopting: socket,
        token: newToken(),
        isConnecting: false,
        on: loop
      )
      let connection = Connection(stream, address: nil, phase: .greeting(until: deadline))
      connections[connection.token] = connection
      greeting.append(connection.token)
    } catch {
      log(.error, "a connection is dropped: \(error)")
    }
  }

  /// Ends the oldest connections that have not said hello until there is room for another.
  ///
  /// So a flood of silent connections pushes itself out, and who says hello at once gets in.
  private func makeRoom(below limit: Int) {
    while connections.count >= limit, firstGreeting < greeting.count {
      let oldest = connections[greeting[firstGreeting]]
      firstGreeting += 1
      guard let oldest, case .greeting = oldest.phase else { continue }
      count(.silent)
      close(oldest, because: nil)
    }
    if firstGreeting > 1024, firstGreeting > greeting.count / 2 {
      greeting.removeFirst(firstGreeting)
      firstGreeting = 0
    }
  }

  func newToken() -> UInt64 {
    defer { nextToken += 1 }
    return nextToken
  }

  /// Reads once and hands on the frames that are whole.
  func read(_ connection: Connection) {
    do throws(SystemError) {
      switch try connection.stream.receive(into: &scratch) {
      case .nothing: return
      case .end: return close(connection, because: nil)
      case .bytes(let count):
        if connection.partial.isEmpty {
          // The usual case: frames are decoded where they were received, and only a torn last one is copied.
          let bytes = scratch
          scratch = []
          let used = digest(bytes.span.extracting(first: count), from: connection)
          if used < count {
            connection.partial.append(contentsOf: bytes[used..<count])
            connection.partialSince = now
          }
          scratch = bytes
        } else {
          connection.partial.append(contentsOf: scratch[..<count])
          let bytes = connection.partial
          connection.partial = []
          let used = digest(bytes.span, from: connection)
          connection.partial = used == 0 ? bytes : [UInt8](bytes[used...])
          if used > 0 { connection.partialSince = now }
        }
      }
    } catch {
      close(connection, because: "\(error)")
    }
  }

  /// Takes hello and frames from the front of `bytes`, and answers how many bytes that were.
  ///
  /// Bytes that are no frames end the connection, and count as taken.
  private func digest(_ bytes: borrowing Span<UInt8>, from connection: Connection) -> Int {
    let total = bytes.count
    var input = bytes.extracting(...)
    do throws(WireError) {
      if case .greeting = connection.phase {
        guard try greet(&input, from: connection) else { return 0 }
      }
      while connections[connection.token] != nil {
        let limit = bodyLimit(of: connection)
        guard let header = try FrameHeader.next(in: &input, bodyLimit: limit) else {
          return total - input.count
        }
        let body = input.extracting(first: header.bodyByteCount)
        input = input.extracting(droppingFirst: header.bodyByteCount)
        try handle(header, body, from: connection)
      }
    } catch {
      if case .tooLarge = error { count(.oversized) } else { count(.malformed) }
      close(connection, because: "\(error)")
    }
    return total
  }

  private func bodyLimit(of connection: Connection) -> Int {
    switch connection.peer {
    case .member: FrameHeader.bodyLimit
    case .client, .unknown: Request.byteLimit + 64
    }
  }

  /// Takes the other side's hello, or the answer to ours; false while it is not complete.
  private func greet(
    _ input: inout Span<UInt8>,
    from connection: Connection
  ) throws(WireError) -> Bool {
    if connection.address != nil { return try finishGreeting(&input, from: connection) }
    // What does not begin like a hello is told so at its first byte, not at its 44th.
    let magic = Hello.magic
    for place in 0..<min(8, input.count)
    where input[place] != UInt8(truncatingIfNeeded: magic >> (8 * place)) {
      throw .invalid("hello: this port speaks Roost's protocol alone")
    }
    guard input.count >= Hello.byteCount else { return false }
    let hello = try Hello(decoding: &input)
    // From now on it is none of the silent ones.
    connection.phase = .open
    let verdict = judge(hello)
    let reply = HelloReply(
      verdict: verdict,
      cluster: ClusterID(configuration.cluster),
      node: NodeID(configuration.id),
      leader: replica.leader,
      clusterTime: replica.clusterTime(now: now)
    )
    connection.stream.append { reply.encode(into: &$0) }
    markDirty(connection)
    guard verdict == .accepted else {
      count(verdict == .busy ? .refusedBusy : .refusedHellos)
      flush(connection)
      if hello.role == .member {
        log(.warning, "member \(hello.sender) was refused: \(verdict)")
      }
      close(connection, because: nil)
      return true
    }
    connection.peer = hello.role == .member ? .member(hello.sender) : .client
    if hello.role == .member { inbound[hello.sender] = connection }
    return true
  }

  private func judge(_ hello: Hello) -> HelloVerdict {
    guard (hello.oldestVersion...hello.newestVersion).contains(Hello.version) else {
      return .unknownVersion
    }
    let isAnyCluster = hello.role == .client && hello.cluster == .zero
    guard isAnyCluster || hello.cluster.rawValue == configuration.cluster else {
      return .otherCluster
    }
    guard hello.receiver == .zero || hello.receiver.rawValue == configuration.id else {
      return .otherMember
    }
    if hello.role == .member {
      return isWelcome(hello) ? .accepted : .unknownMember
    }
    // Members keep room of their own, so that clients can't shut them out.
    let limit = connectionLimit - 4 * links.count
    makeRoom(below: limit + 1)
    return connections.count <= limit ? .accepted : .busy
  }

  /// Forgets a connection; its descriptor closes with it.
  func close(_ connection: Connection, because reason: String?) {
    guard connections.removeValue(forKey: connection.token) != nil else { return }
    connection.partial = []
    forgetNews(for: connection)
    if case .member(let member) = connection.peer, inbound[member] === connection {
      inbound[member] = nil
    }
    if let link = links.first(where: { $0.connection === connection }) {
      lose(link, because: reason)
      return
    }
    if let reason { log(.info, "connection \(connection.token) is closed: \(reason)") }
  }

  /// Ends connections that have been silent where they may not be.
  private func inspect() {
    let limits = configuration.limits
    let interval = min(limits.helloDeadline, limits.frameDeadline, .seconds(1)) / 2
    nextInspection = now.advanced(by: interval)
    for connection in connections.values {
      if case .greeting(let until) = connection.phase {
        guard now >= until else { continue }
        count(.silent)
        close(connection, because: "no hello in time")
      } else if !connection.partial.isEmpty,
        now >= connection.partialSince.advanced(by: limits.frameDeadline)
      {
        count(.silent)
        close(connection, because: "it stopped in the middle of a frame")
      }
    }
  }

  /// What is due from time to time: dialling, deadlines of greetings, the listener's rest.
  func keepHouse() {
    nextHousekeeping = now.advanced(by: Shell.housekeepingInterval)
    for link in links where link.connection == nil && link.endsAt == nil && now >= link.nextAttempt
    {
      dial(link)
    }
    endLinks()
    if now >= nextInspection { inspect() }
    if now >= nextProgressNote {
      nextProgressNote = now.advanced(by: configuration.limits.progressInterval)
      replica.noteProgress(into: &effects)
      routeNews()
    }
    if now >= nextDiskRetry {
      nextDiskRetry = now.advanced(by: .seconds(1))
      journal.retry()
    }
    if let until = acceptsAgainAt, now >= until {
      try? loop.update(
        listener.descriptor.number,
        token: Token.listener,
        reading: true,
        writing: false
      )
      acceptAll()
    }
  }
}
