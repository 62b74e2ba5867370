internal import RoostWire

/// Finding circles of waiters before they close.
///
/// A claim that waits needs every holder of its locks to let go. A holder that waits itself, as the same
/// owner of the same session, lets go of nothing meanwhile. So a request whose waiting would lead, from
/// holder to what that holder waits for, back to a lock that the asker holds, can never be granted, nor
/// can anyone on the way. Claims on several locks also wait for those before them in each queue.
extension LockTable {
  /// A lock that somebody has, on the way from the asker back to it.
  struct Link: Equatable {
    let lock: [UInt8]
    let holder: UInt64
  }

  /// Searched claims after which a search gives up; waiting then ends by its deadline.
  private static var searchLimit: Int { 10_000 }

  private struct Step {
    let lock: UInt32
    let claim: UInt32
    let before: Int
  }

  /// Searches for the circle that waiting for `wants` would close.
  ///
  /// - Parameters:
  ///   - wants: What is asked for.
  ///   - asker: The session and the owner in it.
  ///   - firstClaim: The first claim of a session, by its slot.
  /// - Returns: The locks on the way and who holds each, from what is wanted to the asker; or nil.
  func circle(
    closedBy wants: [Acquire.Want],
    of asker: (session: UInt64, owner: UInt64),
    firstClaim: (UInt32) -> UInt32
  ) -> [Link]? {
    var steps: [Step] = []
    var seen: Set<UInt32> = []
    for want in wants {
      guard let lock = lock(named: want.name), let last = locks[lock]?.waiters.last else {
        continue
      }
      addBlockers(of: lock, endingWith: last, before: -1, to: &steps, &seen)
    }
    var next = 0
    while next < steps.count, steps.count < Self.searchLimit {
      let current = next
      next += 1
      guard let claim = claims[steps[current].claim] else { continue }
      guard !claim.isWaiting else {
        addBlockers(ofWaiting: steps[current].claim, before: current, to: &steps, &seen)
        continue
      }
      if claim.session == asker.session, claim.owner == asker.owner {
        return path(to: current, in: steps)
      }
      var other = firstClaim(claim.sessionSlot)
      while let waiting = claims[other, orNone: Self.none] {
        if waiting.isWaiting, waiting.owner == claim.owner {
          addBlockers(ofWaiting: other, before: current, to: &steps, &seen)
        }
        other = waiting.nextOfSession
      }
    }
    return nil
  }

  private func addBlockers(
    ofWaiting claim: UInt32,
    before: Int,
    to steps: inout [Step],
    _ seen: inout Set<UInt32>
  ) {
    for part in partsOf(claim) {
      guard let part = parts[part] else { continue }
      addBlockers(of: part.lock, endingWith: part.previous, before: before, to: &steps, &seen)
    }
  }

  /// Adds a lock's holders, and those waiters up to `last` that wait for other locks too.
  private func addBlockers(
    of lock: UInt32,
    endingWith last: UInt32,
    before: Int,
    to steps: inout [Step],
    _ seen: inout Set<UInt32>
  ) {
    guard let (first, joined) = locks[lock].map({ ($0.holders.first, $0.joinedWaiters) }) else {
      return
    }
    var part = first
    while let holder = parts[part, orNone: Self.none], steps.count < Self.searchLimit {
      if seen.insert(holder.claim).inserted {
        steps.append(Step(lock: lock, claim: holder.claim, before: before))
      }
      part = holder.next
    }
    guard joined > 0 else { return }
    part = last
    while let waiter = parts[part, orNone: Self.none], steps.count < Self.searchLimit {
      if claims[waiter.claim]?.partCount ?? 1 > 1, seen.insert(waiter.claim).inserted {
        steps.append(Step(lock: lock, claim: waiter.claim, before: before))
      }
      part = waiter.previous
    }
  }

  private func path(to last: Int, in steps: [Step]) -> [Link] {
    var links: [Link] = []
    var index = last
    while index >= 0 {
      let step = steps[index]
      links.append(
        Link(lock: locks[step.lock]?.name ?? [], holder: claims[step.claim]?.session ?? 0)
      )
      index = step.before
    }
    return links.reversed()
  }
}
