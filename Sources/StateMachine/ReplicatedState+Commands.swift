internal import RoostWire

/// The one place that says what each command does.
extension ReplicatedState {
  /// Runs a command and writes its reply, or the reason why not.
  mutating func execute(
    _ bytes: Span<UInt8>,
    by caller: Caller,
    into output: inout AppliedOutput
  ) {
    let start = output.replyBytes.count
    do throws(WireError) {
      var input = bytes.extracting(...)
      if try putPlainly(&input, into: &output.replyBytes) { return }
      let command = try Command(decoding: &input)
      try input.expectEnd()
      do throws(Failure) {
        try authorise(command, for: caller)
        try execute(command, by: caller, into: &output)
      } catch {
        output.replyBytes.removeSubrange(start...)
        error.encode(into: &output.replyBytes)
      }
    } catch {
      output.fail(error.isTooLarge ? .tooLarge : .malformed)
    }
  }

  /// Runs a command that carries no sequence, if repeating it does no harm.
  mutating func executeRepeatable(
    _ bytes: Span<UInt8>,
    by caller: Caller,
    into output: inout AppliedOutput
  ) {
    switch bytes.isEmpty ? 0 : bytes[0] {
    case 17, 33: execute(bytes, by: caller, into: &output)
    default: output.fail(.malformed)
    }
  }

  /// Runs the most frequent command, a put without options, from the bytes as they lie.
  ///
  /// It does what ``run(_:_:into:)`` would, without arrays for key and value. Answers false, and takes
  /// nothing, if the command is another or a rule asks for a closer look.
  private mutating func putPlainly(
    _ input: inout Span<UInt8>,
    into output: inout [UInt8]
  ) throws(WireError) -> Bool {
    guard input.count >= 4, input[0] == 1, input[1] == 0, locks.bindings.count == 0 else {
      return false
    }
    guard permits == nil else { return false }
    let keyCount = Int(input[2]) | Int(input[3]) << 8
    guard (1...CommandLimits.keyByteCount).contains(keyCount), input.count >= keyCount + 8 else {
      return false
    }
    var rest = input.extracting(droppingFirst: 4 + keyCount)
    let valueCount = Int(try rest.read(UInt32.self))
    guard valueCount <= CommandLimits.valueByteCount, valueCount == rest.count else {
      return false
    }
    keyspace.begin(at: time.rawValue)
    let made = keyspace.put(input.extracting(4..<(4 + keyCount)), rest, lease: 0)
    if made.previousLease == 0 { keyspace.commit() } else { commit() }
    Self.append(made, number: nil, nil, to: &output)
    return true
  }

  /// Asks for every single access of a command whether the caller may.
  private func authorise(_ command: Command, for caller: Caller) throws(Failure) {
    guard let permits else { return }
    var isPermitted = true
    Access.forEach(in: command) { access in
      if !permits(access, caller.session) { isPermitted = false }
    }
    guard isPermitted else { throw Failure(.notAuthorised) }
  }

  private mutating func execute(
    _ command: Command,
    by caller: Caller,
    into output: inout AppliedOutput
  ) throws(Failure) {
    stepsLeft = limits.clearingSteps
    switch command {
    case .operation(let operation):
      try execute(operation, by: caller, into: &output.replyBytes)
    case .openSession(let open): try self.open(open, into: &output)
    case .keepAlive: try keepAlive(caller, into: &output)
    case .closeSession: try close(caller, into: &output)
    case .outcome(let outcome): try tell(outcome, into: &output)
    case .grantLease(let ttl): try grantLease(ttl: ttl, by: caller, into: &output)
    case .renewLeases(let ids): renewLeases(ids, into: &output)
    case .revokeLease(let id): try revokeLease(id, into: &output)
    case .acquire(let acquire): try self.acquire(acquire, by: caller, into: &output)
    case .release(let release): try self.release(release, by: caller, into: &output)
    case .cancelAcquire(let sequence):
      try cancelAcquire(sequence, by: caller, into: &output)
    case .forceRelease(let name): try forceRelease(name, into: &output)
    case .bindPrefix(let bind): try self.bind(bind, into: &output)
    case .unbindPrefix(let prefix): unbind(prefix, into: &output)
    case .compact(let revision): try compact(to: revision, into: &output)
    }
  }

  /// Raises the lowest readable revision; what it frees is cleared away in steps.
  private mutating func compact(
    to revision: Revision,
    into output: inout AppliedOutput
  ) throws(Failure) {
    guard revision.rawValue <= keyspace.revision else {
      throw Failure(.futureRevision, detail: keyspace.revision)
    }
    keyspace.compact(to: revision.rawValue)
    output.reply(.done)
  }
}
