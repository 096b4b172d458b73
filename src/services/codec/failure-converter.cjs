// Loaded by its path: by the SDK in this process, and into the workflow bundle. With a codec, what a failure says and
// where it happened travel as a payload, so that they are encrypted as well.
const { DefaultFailureConverter } = require('@temporalio/common');

exports.failureConverter = new DefaultFailureConverter({ encodeCommonAttributes: true });
