package b2backend

import "github.com/c1508ce4/sluice/internal/decode"

// fileObject is a file as all calls answer it (recorded). Fields of no use here
// are left out.
type fileObject struct {
	// "start", "upload", "copy", "hide", "folder"
	Action        string        `json:"action"`
	ContentLength decode.Number `json:"contentLength"`
	// hex, "none", or "unverified:" and hex
	ContentSHA1          string            `json:"contentSha1"`
	ContentType          string            `json:"contentType"`
	FileID               string            `json:"fileId"`
	FileInfo             map[string]string `json:"fileInfo"`
	FileName             string            `json:"fileName"`
	FileRetention        retentionSetting  `json:"fileRetention"`
	LegalHold            legalHoldSetting  `json:"legalHold"`
	ServerSideEncryption encryptionObject  `json:"serverSideEncryption"`
	Uploaded             decode.Time       `json:"uploadTimestamp"`
}

// IDs are checked where the answer is decoded; see package decode.
func (f *fileObject) IDs() []string { return []string{f.FileID} }

// partObject is a part as b2_upload_part, b2_copy_part and b2_list_parts answer
// it.
type partObject struct {
	ContentLength decode.Number `json:"contentLength"`
	ContentSHA1   string        `json:"contentSha1"`
	FileID        string        `json:"fileId"`
	PartNumber    int           `json:"partNumber"`
	Uploaded      decode.Time   `json:"uploadTimestamp"`
}

// retentionSetting is a value that the key may not be allowed to read.
type retentionSetting struct {
	Readable bool             `json:"isClientAuthorizedToRead"`
	Value    *retentionObject `json:"value"`
}

type retentionObject struct {
	Mode            RetentionMode `json:"mode"`
	RetainUntilTime int64         `json:"retainUntilTimestamp"` // ms
}

type legalHoldSetting struct {
	Readable bool      `json:"isClientAuthorizedToRead"`
	Value    LegalHold `json:"value"` // null leaves it empty
}

type encryptionObject struct {
	Algorithm      string `json:"algorithm,omitempty"`
	CustomerKey    string `json:"customerKey,omitempty"`
	CustomerKeyMD5 string `json:"customerKeyMd5,omitempty"`
	Mode           string `json:"mode,omitempty"`
}

// The requests, in the order of their use. Optional fields are left out where
// they are not set.
type (
	listBucketsRequest struct {
		AccountID  string `json:"accountId"`
		BucketName string `json:"bucketName"`
	}
	listBucketsAnswer struct {
		Buckets []struct {
			BucketID   string `json:"bucketId"`
			BucketName string `json:"bucketName"`
			FileLock   struct {
				Readable bool `json:"isClientAuthorizedToRead"`
				Value    struct {
					Enabled bool `json:"isFileLockEnabled"`
				} `json:"value"`
			} `json:"fileLockConfiguration"`
			Encryption struct {
				Readable bool             `json:"isClientAuthorizedToRead"`
				Value    encryptionObject `json:"value"`
			} `json:"defaultServerSideEncryption"`
		} `json:"buckets"`
	}

	bucketRequest struct {
		BucketID string `json:"bucketId"`
	}
	fileRequest struct {
		FileID string `json:"fileId"`
	}
	uploadURLAnswer struct {
		AuthorizationToken string `json:"authorizationToken"`
		UploadURL          string `json:"uploadUrl"`
	}

	startRequest struct {
		BucketID              string            `json:"bucketId"`
		FileName              string            `json:"fileName"`
		ContentType           string            `json:"contentType"`
		FileInfo              map[string]string `json:"fileInfo,omitempty"`
		FileRetention         *retentionObject  `json:"fileRetention,omitempty"`
		LegalHold             LegalHold         `json:"legalHold,omitempty"`
		ServerSideEncryption  *encryptionObject `json:"serverSideEncryption,omitempty"`
		CustomUploadTimestamp string            `json:"customUploadTimestamp,omitempty"`
	}

	finishRequest struct {
		FileID        string   `json:"fileId"`
		PartSHA1Array []string `json:"partSha1Array"`
	}

	listPartsRequest struct {
		FileID          string `json:"fileId"`
		StartPartNumber int    `json:"startPartNumber,omitempty"`
		MaxPartCount    int    `json:"maxPartCount"`
	}
	listPartsAnswer struct {
		Parts          []partObject `json:"parts"`
		NextPartNumber *int         `json:"nextPartNumber"`
	}

	listFilesRequest struct {
		BucketID      string `json:"bucketId"`
		Prefix        string `json:"prefix,omitempty"`
		NamePrefix    string `json:"namePrefix,omitempty"` // the same, of unfinished large files
		StartFileName string `json:"startFileName,omitempty"`
		StartFileID   string `json:"startFileId,omitempty"`
		MaxFileCount  int    `json:"maxFileCount"`
	}
	listFilesAnswer struct {
		Files        []fileObject `json:"files"`
		NextFileID   string       `json:"nextFileId"`
		NextFileName string       `json:"nextFileName"`
	}

	versionRequest struct {
		FileName string `json:"fileName"`
		FileID   string `json:"fileId"`
	}

	copyPartRequest struct {
		SourceFileID          string            `json:"sourceFileId"`
		LargeFileID           string            `json:"largeFileId"`
		PartNumber            int               `json:"partNumber"`
		Range                 string            `json:"range,omitempty"`
		SourceEncryption      *encryptionObject `json:"sourceServerSideEncryption,omitempty"`
		DestinationEncryption *encryptionObject `json:"destinationServerSideEncryption,omitempty"`
	}
	copyFileRequest struct {
		SourceFileID          string            `json:"sourceFileId"`
		DestinationBucketID   string            `json:"destinationBucketId"`
		FileName              string            `json:"fileName"`
		Range                 string            `json:"range,omitempty"`
		MetadataDirective     string            `json:"metadataDirective"`
		ContentType           string            `json:"contentType,omitempty"`
		FileInfo              map[string]string `json:"fileInfo,omitempty"`
		FileRetention         *retentionObject  `json:"fileRetention,omitempty"`
		LegalHold             LegalHold         `json:"legalHold,omitempty"`
		SourceEncryption      *encryptionObject `json:"sourceServerSideEncryption,omitempty"`
		DestinationEncryption *encryptionObject `json:"destinationServerSideEncryption,omitempty"`
	}
)
