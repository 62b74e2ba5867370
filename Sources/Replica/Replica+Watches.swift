internal import RoostStateMachine
internal import RoostWire

/// Watches: begun by clients of this node, told what this node's own state shows.
extension Replica {
  /// Takes in a client's wish to watch.
  ///
  /// One that begins now asks first what is committed, as a read does, so that it is not told what its
  /// client knows to be older.
  package mutating func watch(
    _ bytes: borrowing Span<UInt8>,
    from client: ClientTicket,
    into effects: inout ReplicaEffects
  ) {
    var input = bytes.extracting(...)
    guard let request = try? WatchRequest(decoding: &input), input.isEmpty else {
      return answer(.client(client), Failure(.malformed), into: &effects)
    }
    if let refusal { return answer(.client(client), Failure(refusal), into: &effects) }
    guard watches.count < limits.watches,
      watches.count(of: client.connection) < limits.watchesOfConnection
    else { return answer(.client(client), Failure(.limitReached), into: &effects) }
    if request.start == .zero {
      reads.add(request, from: client)
    } else {
      start(request, of: client, into: &effects)
    }
  }

  mutating func start(
    _ request: WatchRequest,
    of client: ClientTicket,
    into effects: inout ReplicaEffects
  ) {
    if watches.count == 0 {
      // A table without watches is not moved on.
      watches.skip(to: state)
    }
    let id = WatcherID(connection: client.connection, watch: request.watch)
    do throws(Failure) {
      let start = try watches.start(request, as: id, by: .zero, on: state)
      answer(.client(client), Reply.watching(from: start).encoded().span, into: &effects)
    } catch {
      answer(.client(client), error, into: &effects)
    }
  }

  /// Ends a watch; nothing of it follows the answer.
  package mutating func cancelWatch(
    _ bytes: borrowing Span<UInt8>,
    from client: ClientTicket,
    into effects: inout ReplicaEffects
  ) {
    var input = bytes.extracting(...)
    guard let number = try? input.read(UInt64.self), input.isEmpty else {
      return answer(.client(client), Failure(.malformed), into: &effects)
    }
    let waiting = reads.takeWatches {
      $0.client.connection == client.connection && $0.watch?.watch == number
    }
    for query in waiting {
      answer(.client(query.client), Reply.done.encoded().span, into: &effects)
    }
    watches.cancel(WatcherID(connection: client.connection, watch: number))
    answer(.client(client), Reply.done.encoded().span, into: &effects)
  }

  /// A connection on which there were watches is gone, and they with it.
  package mutating func lostWatcher(_ connection: UInt64) {
    _ = reads.takeWatches { $0.client.connection == connection }
    watches.cancelAll(of: connection)
  }

  /// So many bytes of a connection's events have left this node.
  package mutating func didSendEvents(_ byteCount: Int, on connection: UInt64) {
    watches.didSend(byteCount, on: connection)
  }

  /// Tells those who want to know it that they know everything so far.
  package mutating func noteProgress(into effects: inout ReplicaEffects) {
    guard watches.count > 0 else { return }
    watches.noteProgress(into: &effects.news.watches)
  }

  /// How many watches this node's clients have.
  package var watchCount: Int { watches.count }

  /// Tells watches what the turn has applied.
  ///
  /// Those that are behind catch up by one bounded step a turn, however often the turn takes effect.
  mutating func advanceWatches(now: Instant, into effects: inout ReplicaEffects) {
    guard watches.count > 0 else { return }
    let steps = now > caughtUpAt ? Self.catchUpSteps : 0
    caughtUpAt = max(caughtUpAt, now)
    watches.advance(
      on: state,
      steps: steps,
      tellingSteps: Self.tellingSteps,
      into: &effects.news.watches
    )
  }

  /// Hands on what an entry has to tell to sessions.
  mutating func tellSessions(into effects: inout ReplicaEffects) {
    let base = effects.news.lockBytes.count
    effects.news.lockBytes += output.eventBytes
    for event in output.events {
      let range = (base + event.bytes.lowerBound)..<(base + event.bytes.upperBound)
      effects.news.locks.append(LockNews(session: event.session, range: range))
    }
  }
}
