internal import RoostPlatform
internal import RoostReplica
internal import RoostWire

/// The way to one other member: a connection that is dialled again whenever it is lost.
///
/// It carries what this node says; what the member says comes on the connection that it dialled itself. While
/// there is no connection, messages are dropped: the protocol repeats what matters.
final class PeerLink {
  let id: NodeID
  /// Where it may be, tried in turn: first where the log says that it is, then where the configuration does.
  var addresses: [SocketAddress]
  /// Set when the member has left: until then what it is told of that may still reach it.
  var endsAt: Instant?
  var connection: Connection?
  var nextAttempt: Instant
  private var failures = 0
  /// The last reason that was logged, so that a member that is down is one line and not one a second.
  var lastReason: String?

  init(id: NodeID, addresses: [SocketAddress], firstAttempt: Instant) {
    precondition(!addresses.isEmpty, "there is an address to dial")
    self.id = id
    self.addresses = addresses
    nextAttempt = firstAttempt
  }

  /// The address to dial now.
  var address: SocketAddress { addresses[failures % addresses.count] }

  /// The connection, once greetings are exchanged.
  var openConnection: Connection? {
    guard let connection, case .open = connection.phase else { return nil }
    return connection
  }

  func didOpen() {
    failures = 0
    lastReason = nil
  }

  func didFail(now: Instant) {
    connection = nil
    failures += 1
    // 50 ms, doubled up to 0.8 s: a restarted member is found again well within an election.
    nextAttempt = now.advanced(by: .milliseconds(25 << min(failures, 5)))
  }
}

/// Links: how this node reaches the other members.
extension Shell {
  func dial(_ link: PeerLink) {
    do throws(SystemError) {
      let socket = try Socket.connecting(to: link.address)
      let stream = try ByteStream(
        adopting: socket,
        token: newToken(),
        isConnecting: true,
        on: loop
      )
      let connection = Connection(stream, address: link.address, phase: .connecting)
      connections[connection.token] = connection
      link.connection = connection
    } catch {
      lose(link, because: "\(error)")
    }
  }

  /// The kernel has decided on a connection that we opened.
  func finishConnecting(_ connection: Connection) {
    guard let address = connection.address else { return }
    if let error = connection.stream.connectionError(to: address) {
      return close(connection, because: error.reason)
    }
    guard let link = links.first(where: { $0.connection === connection }) else { return }
    let hello = Hello(
      role: .member,
      cluster: ClusterID(configuration.cluster),
      sender: NodeID(configuration.id),
      receiver: link.id
    )
    connection.phase = .greeting(until: now.advanced(by: configuration.limits.helloDeadline))
    connection.stream.append { hello.encode(into: &$0) }
    markDirty(connection)
  }

  /// Takes the answer to our hello; false while it is not complete.
  func finishGreeting(
    _ input: inout Span<UInt8>,
    from connection: Connection
  ) throws(WireError) -> Bool {
    guard input.count >= HelloReply.byteCount else { return false }
    let reply = try HelloReply(decoding: &input)
    guard let link = links.first(where: { $0.connection === connection }) else { return true }
    guard reply.verdict == .accepted else {
      let isUnknown = reply.verdict == .unknownMember
      close(
        connection,
        because: isUnknown
          ? "it knows no member \(configuration.id); if this node was removed from the cluster, end it"
          : "it refused this node: \(reply.verdict)"
      )
      return true
    }
    guard reply.cluster.rawValue == configuration.cluster, reply.node == link.id else {
      close(connection, because: "another node answers at its address")
      return true
    }
    connection.phase = .open
    connection.peer = .member(link.id)
    log(.info, "connected to member \(link.id) at \(connection.address ?? link.address)")
    link.didOpen()
    return true
  }

  func lose(_ link: PeerLink, because reason: String?) {
    let wasOpen = link.openConnection != nil
    link.didFail(now: now)
    replica.lostLink(to: link.id, into: &effects)
    let text = reason ?? "it closed the connection"
    guard wasOpen || link.lastReason != text else { return }
    link.lastReason = text
    log(.warning, "no connection to member \(link.id) at \(link.address): \(text)")
  }

  func link(to id: NodeID) -> PeerLink? { links.first { $0.id == id } }

  func flushLinks() {
    for link in links {
      if let connection = link.openConnection, connection.stream.waitingByteCount > 0 {
        flush(connection)
      }
    }
  }
}
