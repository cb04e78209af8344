//go:build !purego

package sha1mb

// available is whether the processor has the instructions, and the system keeps their registers.
var available = hasAVX512()

func hasAVX512() bool {
	const (
		// leaf 1, ECX: the system keeps registers by XSAVE
		keptBySystem = 1 << 27
		needed       = uint32(1<<5) | 1<<16 | 1<<31 // leaf 7, EBX: AVX2, AVX-512 F and VL
		// XCR0: SSE, AVX, and the three parts of AVX-512
		kept = 1<<1 | 1<<2 | 1<<5 | 1<<6 | 1<<7
	)
	if most, _, _, _ := cpuid(0, 0); most < 7 {
		return false
	}
	if _, _, c, _ := cpuid(1, 0); c&keptBySystem == 0 || xgetbv()&kept != kept {
		return false
	}
	_, b, _, _ := cpuid(7, 0)
	return b&needed == needed
}

func cpuid(leaf, sub uint32) (a, b, c, d uint32)

func xgetbv() uint32

// sha1x8 adds n bytes, a multiple of 64 and not 0, of each of the data to the state in its column.
//
//go:noescape
func sha1x8(state *[5][8]uint32, data *[8]*byte, n int)
