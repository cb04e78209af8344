//go:build unix

package engines

// What happens in place of yes.
const (
	storedError  = "ignored: error, the file is stored"
	nothingSent  = "ignored: error, nothing is sent"
	otherListing = "stored, not listed by that name"
	anyRegion    = "any region will do"
)

// testedVersions are the versions that differences is about.
var testedVersions = map[Kind]string{
	Ceph: "16.2.15", MinIO: "2026-02-12", SeaweedFS: "2026-11-09", Versitygw: "1.8.0", Gofakes3: "1.2.0",
}

// differences are what the trials find where it is not yes. A store that behaves better than this
// fails its trial, so that this and docs/S3.md are brought up to date.
var differences = map[Kind]map[string]string{
	Versitygw: {
		"a name with `//`":                    otherListing,
		"a name with a leading `/`":           otherListing,
		"a name with a segment of 900 bytes":  "refused: 400 KeyTooLongError",
		"storage class `STANDARD_IA`, single": storedError,
		"storage class `STANDARD_IA`, large":  storedError,
		"SSE-S3, single":                      storedError,
		"SSE-S3, large":                       nothingSent,
		"SSE-KMS, single":                     storedError,
		"SSE-KMS, large":                      nothingSent,
		"SSE-C, single":                       storedError,
		"SSE-C, large":                        nothingSent,
	},
	Ceph: {
		wrongRegionTrial:                      anyRegion,
		"a metadata key with `_`":             storedError,
		"tags, large":                         storedError,
		"storage class `STANDARD_IA`, single": "refused: 400 InvalidArgument",
		"storage class `STANDARD_IA`, large":  "refused: 400 InvalidArgument",
		"SSE-S3, single":                      storedError,
		"SSE-S3, large":                       nothingSent,
		"retention and legal hold, large":     storedError,
	},
	MinIO: {
		wrongRegionTrial:                      anyRegion,
		"a name with `//`":                    "refused: 400 XMinioInvalidObjectName",
		"a name with a leading `/`":           otherListing,
		"a name with a segment of 900 bytes":  "refused: 400 XMinioInvalidObjectName",
		"storage class `STANDARD_IA`, single": "refused: 400 InvalidStorageClass",
		"storage class `STANDARD_IA`, large":  "refused: 400 InvalidStorageClass",
	},
	SeaweedFS: {
		wrongRegionTrial:                     anyRegion,
		"a name with `//`":                   otherListing,
		"a name with a leading `/`":          otherListing,
		"a name with a segment of 900 bytes": "refused: 400 KeyTooLongError",
		"SSE-S3, single":                     "refused: 500 InternalError",
		"SSE-S3, large":                      "refused: 500 InternalError",
		"SSE-KMS, single":                    "refused: 500 InternalError",
		"SSE-KMS, large":                     nothingSent,
		wrongPlaceTrial:                      "a bucket that is missing is made",
	},
	Gofakes3: {
		wrongRegionTrial: anyRegion,
		"cache headers, language, type, metadata, single": storedError,
		"cache headers, language, type, metadata, large":  storedError,
		"tags, single":                        storedError,
		"tags, large":                         storedError,
		"storage class `STANDARD_IA`, single": storedError,
		"storage class `STANDARD_IA`, large":  storedError,
		"SSE-S3, single":                      storedError,
		"SSE-S3, large":                       nothingSent,
		"SSE-KMS, single":                     storedError,
		"SSE-KMS, large":                      nothingSent,
		"SSE-C, single":                       storedError,
		"SSE-C, large":                        nothingSent,
		"retention and legal hold, single":    storedError,
		"retention and legal hold, large":     storedError,
		wrongPlaceTrial:                       "credentials are not checked",
	},
}
