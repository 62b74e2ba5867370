internal import RoostPlatform
internal import RoostRaft
internal import RoostReplica
internal import RoostWire

/// How far a node is that ends politely; each step has until the given moment.
enum Ending {
  /// What was accepted is finished, and nothing new is.
  case finishing(until: Instant)
  /// Another member takes over what this one leads.
  case handingOver(until: Instant)
  /// What was answered is read by those who asked.
  case flushing(until: Instant)
}

/// Ending: finish, hand over, flush.
extension Shell {
  func beginStop() {
    replica.isStopping = true
    ending = .finishing(until: now.advanced(by: configuration.timing.election * 2))
  }

  /// Goes on with the end; true when there is nothing left to do.
  func advanceEnding() -> Bool {
    nextHousekeeping = min(nextHousekeeping, now.advanced(by: .milliseconds(2)))
    if case .finishing(let until) = ending {
      guard replica.isIdle || now >= until else { return false }
      // A leader hands over, so that the cluster is not without one for an election timeout.
      let handsOver = links.contains { $0.openConnection != nil } && replica.handOver(now: now)
      ending = .handingOver(
        until: handsOver ? now.advanced(by: configuration.timing.election * 2) : now
      )
    }
    if case .handingOver(let until) = ending {
      guard !replica.consensus.isLeader || now >= until else { return false }
      ending = .flushing(until: now.advanced(by: .seconds(1)))
    }
    guard case .flushing(let until) = ending, now < until else { return true }
    return connections.values.allSatisfy { $0.peer != .client || $0.stream.waitingByteCount == 0 }
  }
}
