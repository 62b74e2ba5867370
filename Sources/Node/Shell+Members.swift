internal import RoostPlatform
internal import RoostRaft
internal import RoostReplica
internal import RoostWire

/// Members: whom this node dials, and whom it lets in, as the membership in the log changes.
extension Shell {
  /// How long a link to a member that has left is kept, so that it can be told.
  static let farewell = Duration.seconds(2)

  func membershipChanged() {
    effects.membershipChanged = false
    alignLinks()
    let membership = replica.consensus.membership
    guard replica.consensus.isMembershipCommitted, membership.phase == .settled else { return }
    guard membership.version != reportedMembership else { return }
    reportedMembership = membership.version
    if replica.isOutsider {
      log(.warning, "this node is no member of the cluster any more and takes no part: end it")
    } else {
      let names = membership.members.map { "\($0.id)\($0.goal == .learner ? " (learns)" : "")" }
      log(.info, "the members are \(names.joined(separator: ", "))")
    }
  }

  /// Makes the links those that the membership in force asks for.
  ///
  /// A member that has left keeps its link for a moment; one that knows that it is none itself needs no links.
  func alignLinks() {
    let members = replica.isOutsider ? [] : replica.consensus.membership.members
    for member in members where member.id != replica.id {
      let addresses = addresses(of: member)
      guard !addresses.isEmpty else {
        log(.error, "member \(member.id) has an address that can't be dialled")
        continue
      }
      if let link = link(to: member.id) {
        link.addresses = addresses
        link.endsAt = nil
      } else {
        links.append(PeerLink(id: member.id, addresses: addresses, firstAttempt: now))
      }
    }
    for link in links where link.endsAt == nil && !members.contains(where: { $0.id == link.id }) {
      link.endsAt = now.advanced(by: Self.farewell)
    }
    nextHousekeeping = now
  }

  private func addresses(of member: Member) -> [SocketAddress] {
    let known = SocketAddress(String(decoding: member.contact, as: UTF8.self))
    let configured = checked.members.first { $0.id == member.id.rawValue }?.address
    guard let configured, configured != known else { return [known].compactMap { $0 } }
    return [known, configured].compactMap { $0 }
  }

  /// Ends links to members that left a while ago.
  func endLinks() {
    for link in links {
      guard let endsAt = link.endsAt, now >= endsAt else { continue }
      links.removeAll { $0 === link }
      replica.lostLink(to: link.id, into: &effects)
      if let connection = link.connection { close(connection, because: nil) }
    }
  }

  /// The way to a member: the connection that this node dialled, or else the one that the member did.
  ///
  /// Who has just been invited knows nobody's address, and answers where it was asked.
  func openConnection(to member: NodeID) -> Connection? {
    link(to: member)?.openConnection ?? inbound[member]
  }

  /// Whether a member's hello is accepted.
  ///
  /// A member may be newer than what this node knows, so while it hears no leader it lets in whoever means
  /// this very node of this very cluster; what such a one may do, the consensus decides. While there is a leader
  /// that is not needed: strangers then are those who were removed.
  func isWelcome(_ hello: Hello) -> Bool {
    if links.contains(where: { $0.id == hello.sender }) { return true }
    guard hello.receiver.rawValue == configuration.id, hello.sender != hello.receiver else {
      return false
    }
    return !replica.hearsLeader(now: now)
      && connections.count + 4 * links.count < connectionLimit
  }

  /// What is wrong with an operator's request that only this node's edge can see.
  func refusal(ofAdmin body: borrowing Span<UInt8>) -> Failure? {
    var input = body.extracting(...)
    guard case .change(let change)? = try? AdminRequest(decoding: &input) else { return nil }
    for wish in change.wishes where !wish.address.isEmpty {
      let text = String(decoding: wish.address, as: UTF8.self)
      guard SocketAddress(text) == nil else { continue }
      return Failure(.unsoundMembership, bytes: Array("'\(text)' is not an address".utf8))
    }
    return nil
  }
}
