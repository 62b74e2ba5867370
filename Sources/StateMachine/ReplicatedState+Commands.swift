internal import RoostWire

/// The one place that says what each command does.
extension ReplicatedState {
  /// Runs a command and writes its reply, or the reason why not.
  mutating func execute(
    _ bytes: Span<UInt8>,
    by caller: Caller,
    into output: inout AppliedOutput
  ) {
    do throws(WireError) {
      var input = bytes
      let command = try Command(decoding: &input)
      try input.expectEnd()
      execute(command, by: caller, into: &output)
    } catch {
      output.fail(.malformed)
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

  private mutating func execute(
    _ command: Command,
    by caller: Caller,
    into output: inout AppliedOutput
  ) {
    switch command {
    case .operation(let operation): execute(operation, by: caller, into: &output)
    case .openSession(let open): self.open(open, into: &output)
    case .keepAlive: keepAlive(caller, into: &output)
    case .closeSession: close(caller, into: &output)
    default: output.fail(.unsupported)
    }
  }
}
