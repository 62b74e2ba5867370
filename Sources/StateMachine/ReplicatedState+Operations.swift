internal import RoostWire

/// Commands on keys.
extension ReplicatedState {
  mutating func execute(
    _ operation: Operation,
    by caller: Caller,
    into output: inout AppliedOutput
  ) {
    keyspace.begin(at: time.rawValue)
    let start = output.replyBytes.count
    do throws(Failure) {
      try run(operation, by: caller, into: &output.replyBytes)
      keyspace.commit()
    } catch {
      keyspace.rollBack()
      output.replyBytes.removeSubrange(start...)
      error.encode(into: &output.replyBytes)
    }
  }

  private mutating func run(
    _ operation: Operation,
    by caller: Caller,
    into output: inout [UInt8]
  ) throws(Failure) {
    switch operation {
    case .put(let put):
      let (made, _) = keyspace.put(put.key.span, put.value.span, lease: 0)
      Reply.written(
        Written(revision: Revision(made.modified), version: made.version)
      ).encode(into: &output)
    case .delete(let delete):
      let removed = keyspace.remove(delete.key.span)
      let revision = keyspace.hasChanges ? keyspace.pendingRevision : keyspace.revision
      Reply.deleted(
        Deleted(revision: Revision(revision), count: removed == nil ? 0 : 1)
      ).encode(into: &output)
    case .get(let get): try read(get, into: &output)
    default: throw Failure(.unsupported)
    }
  }
}
