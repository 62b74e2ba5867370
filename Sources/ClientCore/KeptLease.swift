package import RoostWire

/// A lease that the machine keeps alive.
struct KeptLease: Sendable {
  let id: UInt64
  let ttl: Duration
  var renewAt: Instant
  /// Until when it surely lives; nil before the first renewal was answered.
  var surelyUntil: Instant?
  var isBeingRenewed = false
}

/// Leases: renewed together, long before they end.
extension ClientMachine {
  /// Keeps a lease alive from now on; a notice says when it has ended all the same.
  package mutating func keepLease(
    _ id: UInt64,
    ttl: Duration,
    now: Instant,
    into effects: inout ClientEffects
  ) {
    guard place(ofLease: id) == nil else { return }
    let place = leases.firstIndex { $0.id > id } ?? leases.count
    // When it was granted is not known here, so the first renewal is due at once.
    leases.insert(KeptLease(id: id, ttl: ttl, renewAt: now), at: place)
    leaseRenewalAt = min(leaseRenewalAt, now)
    advance(now: now, into: &effects)
  }

  /// Lets a lease go its way.
  package mutating func stopKeepingLease(_ id: UInt64) {
    guard let place = place(ofLease: id) else { return }
    leases.remove(at: place)
  }

  /// Until when a kept lease surely lives, by this client's clock; nil if that is not known yet, or no more.
  package func surelyLives(_ lease: UInt64) -> Instant? {
    place(ofLease: lease).flatMap { leases[$0].surelyUntil }
  }

  private func place(ofLease id: UInt64) -> Int? {
    var (low, high) = (0, leases.count)
    while low < high {
      let middle = (low + high) / 2
      if leases[middle].id < id { low = middle + 1 } else { high = middle }
    }
    return low < leases.count && leases[low].id == id ? low : nil
  }

  /// Renews what is due, and what soon would be: one request for many costs hardly more than for one.
  mutating func renewLeases(now: Instant) {
    guard now >= leaseRenewalAt else { return }
    var due: [UInt64] = []
    var patience = Duration.seconds(60)
    for place in leases.indices where !leases[place].isBeingRenewed {
      let lease = leases[place]
      guard now.advanced(by: lease.ttl / 12) >= lease.renewAt else { continue }
      leases[place].isBeingRenewed = true
      patience = min(patience, max(lease.ttl / 3, .milliseconds(100)))
      due.append(lease.id)
      if due.count == CommandLimits.leasesARenewal {
        renew(due, patience: patience, now: now)
        due = []
      }
    }
    if !due.isEmpty { renew(due, patience: patience, now: now) }
    findNextRenewal()
  }

  private mutating func renew(_ ids: [UInt64], patience: Duration, now: Instant) {
    let deadline = now.advanced(by: patience)
    _ = add(.command(.renewLeases(ids)), for: .renewLeases(ids), deadline: deadline, now: now)
  }

  private mutating func findNextRenewal() {
    leaseRenewalAt = .distantFuture
    for lease in leases where !lease.isBeingRenewed {
      leaseRenewalAt = min(leaseRenewalAt, lease.renewAt)
    }
  }

  mutating func didRenew(
    _ ids: [UInt64],
    _ call: PendingCall,
    _ result: CallResult,
    now: Instant,
    into effects: inout ClientEffects
  ) {
    var lives: [Bool] = []
    if case .answered(let body) = result, case .renewed(let renewed) = try? Reply(decodingAll: body)
    {
      lives = renewed
    }
    let sentAt = call.sentAt ?? now
    for (number, id) in ids.enumerated() {
      guard let place = place(ofLease: id) else { continue }
      leases[place].isBeingRenewed = false
      if number >= lives.count {
        // Nobody answered: again, and soon.
        leases[place].renewAt = now.advanced(by: settings.retryDelay)
      } else if lives[number] {
        let ttl = leases[place].ttl
        leases[place].renewAt = sentAt.advanced(by: ttl / 3)
        leases[place].surelyUntil = Self.surely(ttl, from: sentAt)
      } else {
        leases.remove(at: place)
        effects.notices.append(.leaseEnded(id))
      }
    }
    findNextRenewal()
  }
}
