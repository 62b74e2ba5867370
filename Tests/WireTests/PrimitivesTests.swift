import RoostWire
import Testing

@Suite struct PrimitivesTests {
  @Test func theChecksumIsTheOneOfItsStandard() {
    // RFC 3720, appendix B.4.
    let zeros = [UInt8](repeating: 0, count: 32)
    let ones = [UInt8](repeating: 0xFF, count: 32)
    let rising = [UInt8](0..<32)
    #expect(CRC32C(of: zeros.span).value == 0x8A91_36AA)
    #expect(CRC32C(of: ones.span).value == 0x62A8_AB43)
    #expect(CRC32C(of: rising.span).value == 0x46DD_794E)
    #expect(CRC32C(of: Array("123456789".utf8).span).value == 0xE306_9283)
  }

  @Test func theTableAgreesWithTheInstruction() {
    var random = SplitMix64(seed: 1)
    for byteCount in 0..<300 {
      let bytes = (0..<byteCount).map { _ in UInt8(truncatingIfNeeded: random.next()) }
      var byTable = CRC32C()
      byTable.updateByTable(with: bytes.span)
      #expect(byTable.value == CRC32C(of: bytes.span).value)
    }
  }

  @Test func fourChecksumsAtOnceAreThoseOfOneAfterTheOther() {
    var random = SplitMix64(seed: 2)
    for (byteCount, stride) in [(0, 1), (5, 7), (8, 8), (77, 80), (508, 512), (300, 4096)] {
      let bytes = (0..<3 * stride + byteCount).map { _ in
        UInt8(truncatingIfNeeded: random.next())
      }
      let four = CRC32C.four(of: bytes.span, stride: stride, byteCount: byteCount)
      for (number, value) in [four.0, four.1, four.2, four.3].enumerated() {
        let start = number * stride
        let part = bytes.span.extracting(start..<start + byteCount)
        #expect(value == CRC32C(of: part).value)
      }
    }
  }

  @Test func aChecksumGoesOnWhereItStopped() {
    let bytes = [UInt8](0..<200)
    var inPieces = CRC32C()
    inPieces.update(with: bytes.span.extracting(0..<77))
    inPieces.update(with: bytes.span.extracting(77..<200))
    #expect(inPieces.value == CRC32C(of: bytes.span).value)
  }

  @Test func integersAreLittleEndian() throws {
    var bytes: [UInt8] = []
    bytes.append(littleEndian: UInt32(0x0102_0304))
    #expect(bytes == [4, 3, 2, 1])
    var input = bytes.span
    let value = try input.read(UInt32.self)
    #expect(value == 0x0102_0304)
  }

  @Test func aHugeLengthIsRefusedBeforeAnythingIsAllocated() {
    let bytes: [UInt8] = [0xFF, 0xFF, 0xFF, 0xFF, 1]
    #expect(throws: WireError.tooLarge(what: "key", byteCount: 0xFFFF_FFFF, limit: 8)) {
      var input = bytes.span
      _ = try input.readPrefixedBytes("key", limit: 8)
    }
  }

  @Test func timeStopsAtItsEndsInsteadOfTrapping() {
    let late = Instant(nanoseconds: .max - 1)
    #expect(late.advanced(by: .seconds(1)) == .distantFuture)
    #expect(Instant(nanoseconds: 5).nanoseconds(since: late) == 0)
    #expect(Duration.seconds(-1).wholeNanoseconds == 0)
    #expect(Duration.seconds(1 << 62).wholeNanoseconds == .max)
  }

  @Test func theSameSeedDrawsTheSame() {
    // The first draws of the published generator from seed 1234567.
    var random = SplitMix64(seed: 1_234_567)
    #expect(random.next() == 6_457_827_717_110_365_317)
    #expect(random.next() == 3_203_168_211_198_807_973)
  }
}
