package b2test

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"math/big"
	"regexp"
	"time"
)

// fileIDPattern is the shape of file ids (recorded); newer ids carry a _u field as well (reported).
var fileIDPattern = regexp.MustCompile(
	`^4_z[0-9a-f]{24}_f[12][0-9a-f]{15}_d\d{8}_m\d{6}_c\d{3}_v\d{7}_t\d{4}(_u\d{14})?$`)

// randomHex returns n random hexadecimal digits.
func randomHex(n int) string {
	b := make([]byte, (n+1)/2)
	_, _ = rand.Read(b) // never fails: it ends the program rather than return an error
	return hex.EncodeToString(b)[:n]
}

// randomBelow returns a random number in [0, n).
func randomBelow(n int) int {
	v, err := rand.Int(rand.Reader, big.NewInt(int64(n)))
	if err != nil {
		return 0 // unreachable: the source of randomness never fails
	}
	return int(v.Int64())
}

// newFileID returns an id of the recorded shape. The digit after f is 2 for
// large files and 1 for all others.
func newFileID(bucketID string, large bool, vault int, now time.Time) string {
	kind := 1
	if large {
		kind = 2
	}
	now = now.UTC()
	return fmt.Sprintf("4_z%s_f%d%s_d%s_m%s_c002_v%07d_t%04d",
		bucketID, kind, randomHex(15), now.Format("20060102"), now.Format("150405"), vault, randomBelow(60))
}

// newVault picks the vault that holds a file; all parts of a large file share one (reported).
func newVault() int { return 1100 + randomBelow(100) }

// newToken returns a token of 77 characters: the key's id of 25, random digits,
// the kind (acct, upld or uplg) and a digest of 28. The shape is recomputed
// from recorded lengths; its parts are reported.
func newToken(internalKeyID, kind string) string {
	digest := make([]byte, 20)
	_, _ = rand.Read(digest)
	return "4_" + internalKeyID + "_" + randomHex(8) + "_" + randomHex(6) + "_" + kind + "_" +
		base64.URLEncoding.EncodeToString(digest)
}

// newDownloadToken returns a download authorization of 111 characters; the
// length is recomputed from recordings, the parts are uncertain.
func newDownloadToken(now time.Time) string {
	return "3_" + now.UTC().Format("20060102150405") + "_" + randomHex(24) + "_" + randomHex(64) + "_dnld"
}
