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

  mutating func becomeIdle() {
    state = .idle
    link = nil
    partial = []
    askedForSign = false
  }

  /// When the link needs a look: a connection that takes too long, or a node that says nothing.
  func deadline(_ settings: ClientSettings, isBusy: Bool) -> Instant {
    switch state {
    case .idle: .distantFuture
    case .connecting(let since), .greeting(let since): since.advanced(by: settings.connectTimeout)
    case .open:
      isBusy
        ? lastHeard.advanced(by: askedForSign ? settings.silence * 2 : settings.silence)
        : .distantFuture
    }
  }

  /// What the cluster's time is by now, as far as this link knows.
  func clusterTime(now: Instant) -> ClusterTime {
    ClusterTime(clusterTime.rawValue &+ now.nanoseconds(since: openedAt))
  }
}

/// Links: how they come up, bring bytes and break.
extension ClientMachine {
  /// The connection is made; the greeting goes out.
  package mutating func didConnect(
    _ link: LinkID,
    now: Instant,
    into effects: inout ClientEffects
  ) {
    guard let index = endpoints.firstIndex(where: { $0.link == link }) else { return }
    endpoints[index].state = .greeting(since: now)
    endpoints[index].lastHeard = now
    effects.sends.append((link, Hello(role: .client, cluster: .zero).encoded()))
  }

  /// The link could not be made, or broke.
  package mutating func didBreak(
    _ link: LinkID,
    because reason: String,
    now: Instant,
    into effects: inout ClientEffects
  ) {
    guard let index = endpoints.firstIndex(where: { $0.link == link }) else { return }
    fail(index, because: reason, now: now)
    advance(now: now, into: &effects)
  }

  /// Bytes came in on a link.
  package mutating func didReceive(
    _ bytes: borrowing Span<UInt8>,
    on link: LinkID,
    now: Instant,
    into effects: inout ClientEffects
  ) {
    guard let index = endpoints.firstIndex(where: { $0.link == link }) else { return }
    endpoints[index].lastHeard = now
    endpoints[index].askedForSign = false
    var whole = endpoints[index].partial
    endpoints[index].partial = []
    whole.append(contentsOf: bytes)
    var input = whole.span
    do throws(WireError) {
      try digest(&input, from: index, now: now, into: &effects)
      if endpoints[index].link == link { endpoints[index].partial = input.copied() }
    } catch {
      effects.closes.append(link)
      fail(index, because: "it does not speak the protocol: \(error)", now: now)
    }
    advance(now: now, into: &effects)
  }

  private mutating func digest(
    _ input: inout Span<UInt8>,
    from index: Int,
    now: Instant,
    into effects: inout ClientEffects
  ) throws(WireError) {
    if case .greeting = endpoints[index].state {
      guard input.count >= HelloReply.byteCount else { return }
      try greet(HelloReply(decoding: &input), from: index, now: now, into: &effects)
    }
    while endpoints[index].isOpen {
      let limit = FrameHeader.bodyLimit
      guard let header = try FrameHeader.next(in: &input, bodyLimit: limit) else { return }
      let body = try input.readBytes(header.bodyByteCount)
      guard header.kind == .reply else { throw .invalid("frame kind") }
      didAnswer(CallID(header.correlation), body, from: index, now: now, into: &effects)
    }
  }

  private mutating func greet(
    _ reply: HelloReply,
    from index: Int,
    now: Instant,
    into effects: inout ClientEffects
  ) {
    guard reply.verdict == .accepted else {
      if let link = endpoints[index].link { effects.closes.append(link) }
      return fail(index, because: "it refused the connection: \(reply.verdict)", now: now)
    }
    endpoints[index].state = .open
    endpoints[index].node = reply.node
    endpoints[index].failure = nil
    endpoints[index].clusterTime = reply.clusterTime
    endpoints[index].openedAt = now
  }

  /// A link is gone: what was sent over it is unanswered, and the next endpoint is preferred.
  mutating func fail(_ index: Int, because reason: String, now: Instant) {
    let link = endpoints[index].link
    endpoints[index].becomeIdle()
    endpoints[index].failureCount += 1
    endpoints[index].failure = reason
    endpoints[index].retryAt = now.advanced(by: .milliseconds(100))
    if index == preferred { preferred = (preferred + 1) % endpoints.count }
    for id in order where calls[id]?.sentOn == link {
      calls[id]?.sentOn = nil
      calls[id]?.isUncertain = true
    }
  }

  mutating func expireLinks(now: Instant, into effects: inout ClientEffects) {
    for index in endpoints.indices {
      guard let link = endpoints[index].link else { continue }
      guard now >= endpoints[index].deadline(settings, isBusy: !order.isEmpty) else { continue }
      if endpoints[index].isOpen, !endpoints[index].askedForSign {
        endpoints[index].askedForSign = true
        var ping: [UInt8] = []
        // Correlation 0 is no call: whatever comes back is the sign of life.
        ping.appendFrame(.status, correlation: 0) { _ in }
        effects.sends.append((link, ping))
      } else {
        effects.closes.append(link)
        fail(index, because: "no answer in time", now: now)
      }
    }
  }

  /// Where calls that are not under way want to go.
  var wantedEndpoints: [Int] {
    var wanted: [Int] = []
    for id in order {
      guard let call = calls[id], call.sentOn == nil else { continue }
      let index = call.pinned ?? preferred
      if !wanted.contains(index) { wanted.append(index) }
    }
    return wanted
  }

  mutating func connectWhereNeeded(now: Instant, into effects: inout ClientEffects) {
    for index in wantedEndpoints
    where endpoints[index].link == nil && now >= endpoints[index].retryAt {
      lastLink += 1
      let link = LinkID(lastLink)
      endpoints[index].link = link
      endpoints[index].state = .connecting(since: now)
      effects.connects.append((link, index))
    }
  }

  /// Sends calls to the endpoint of that member from now on, if it is known which one that is.
  mutating func prefer(_ node: NodeID) {
    guard node != .zero, let index = endpoints.firstIndex(where: { $0.node == node }) else {
      return
    }
    preferred = index
  }
}
