import RoostWire

/// A segment file as its name and its header show it.
struct SegmentFile {
  enum State: Equatable {
    /// Prepared, and not used yet; or the write that started it was lost.
    case unstarted
    case started(SegmentHeader)
    case damaged
  }

  let number: UInt64
  let name: String
  let byteCount: Int
  let state: State

  var header: SegmentHeader? {
    guard case .started(let header) = state else { return nil }
    return header
  }

  /// All segments of a directory, in order.
  static func all(
    on disk: any Disk,
    of identity: JournalIdentity,
    findings: inout [Finding]
  ) throws(JournalError) -> [SegmentFile] {
    var segments: [SegmentFile] = []
    for (name, byteCount, head) in try heads(on: disk) {
      guard let number = FileName.segmentNumber(name) else { continue }
      let state = try state(of: head, name: name, findings: &findings)
      if case .started(let header) = state {
        guard header.identity == identity else {
          throw .foreign(file: name, found: header.identity)
        }
        guard header.number == number else { throw .misplaced(file: name, holds: header.number) }
      }
      segments.append(SegmentFile(number: number, name: name, byteCount: byteCount, state: state))
    }
    return segments.sorted { $0.number < $1.number }
  }

  private static func heads(
    on disk: any Disk
  ) throws(JournalError) -> [(name: String, byteCount: Int, bytes: [UInt8])] {
    do throws(DiskError) {
      var heads: [(String, Int, [UInt8])] = []
      for name in try disk.list() where FileName.segmentNumber(name) != nil {
        let head = try disk.read(name, at: 0, byteCount: SegmentHeader.areaByteCount)
        heads.append((name, try disk.byteCount(of: name), head))
      }
      return heads
    } catch {
      throw .disk(error)
    }
  }

  private static func state(
    of head: [UInt8],
    name: String,
    findings: inout [Finding]
  ) throws(JournalError) -> State {
    var headers: [SegmentHeader] = []
    var damaged: Int?
    for offset in [0, SegmentHeader.secondCopy] where offset + SegmentHeader.byteCount <= head.count
    {
      let copy = head.span.extracting(offset..<offset + SegmentHeader.byteCount)
      do throws(SegmentHeader.Refusal) {
        headers.append(try SegmentHeader(decoding: copy))
      } catch .newerFormat(let version) {
        throw .newerFormat(found: version)
      } catch {
        if Cell.setBits(in: copy, upTo: 3) >= 3 { damaged = offset }
      }
    }
    if let damaged {
      guard !headers.isEmpty else { return .damaged }
      let reason = "one copy of the segment's header is damaged"
      findings.append(.harmless(Damage(file: name, offset: damaged, reason: reason)))
    }
    return headers.first.map(State.started) ?? .unstarted
  }
}

extension SegmentFile {
  /// Reads the file into memory.
  func read(
    from disk: any Disk,
    as identity: JournalIdentity
  ) throws(JournalError) -> SegmentImage {
    do throws(DiskError) {
      return SegmentImage(
        number: number,
        file: name,
        bytes: try disk.read(name, at: 0, byteCount: byteCount),
        place: SegmentPlace(identity, segment: number),
        lastGroup: header?.packed?.lastGroup
      )
    } catch {
      throw .disk(error)
    }
  }
}
