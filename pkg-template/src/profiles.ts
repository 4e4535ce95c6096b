// Printed from src/protocol/preset/*.json by `cargo test --test scenarios write_the_profiles -- --ignored`.
import type { RestProfile } from "./types.js";

export const auraConnect: RestProfile = {
  "name": "AuraConnect",
  "ids": "text",
  "versions": "stamp",
  "updates": "whole",
  "times": true,
  "pullFirst": true,
  "gzip": true,
  "digest": true,
  "collections": {
    "customers": {},
    "staff": {},
    "menuItems": {},
    "inventory": {},
    "orders": { "references": { "customerId": "customers" } }
  },
  "limits": { "operations": 100, "bytes": 1048576 },
  "record": {
    "id": "serverId",
    "own": "localId",
    "version": "lastModified",
    "at": "lastModified",
    "deleted": "isDeleted",
    "document": "*",
    "without": ["serverModified", "syncStatus"]
  },
  "push": {
    "path": "/api/sync/push",
    "body": { "deviceId": "$device", "changes": "$byCollection" },
    "operation": {
      "localId": "$own",
      "serverId": "$serverId",
      "lastModified": "$at",
      "serverModified": "$version",
      "syncStatus": "pending",
      "isDeleted": "$deleted",
      "...": "$content?"
    },
    "ours": { "results": "lists" },
    "time": "timestamp",
    "verdicts": {
      "list": "results",
      "key": { "localId": "$own", "serverId": "$serverId" },
      "status": "status",
      "words": { "success": "applied", "conflict": "conflict", "failed": "rejected" },
      "applied": { "version": "lastModified", "at": "lastModified", "id": "serverId" },
      "conflict": { "theirs": "serverRecord", "kind": "conflictType", "createCreate": "create-create" },
      "rejected": {
        "code": "error.code",
        "message": "error.message",
        "retryable": "error.retryable",
        "final": ["validation_failed", "unknown_reference", "not_found", "forbidden"],
        "gone": ["not_found"]
      }
    }
  },
  "pull": [
    {
      "name": "changes",
      "path": "/api/sync/pull",
      "query": { "since": "$position?", "limit": 500 },
      "ours": { "changes": "object", "timestamp": "text", "hasMore": "flag" },
      "rows": "changes",
      "paging": "since",
      "next": "timestamp",
      "more": "hasMore",
      "time": "timestamp",
      "overlap": 5000
    }
  ],
  "errors": { "ours": { "error.code": "text" } }
};

export const auraConnectMobile: RestProfile = {
  "name": "AuraConnect mobile",
  "ids": "integer",
  "versions": "number",
  "updates": "patch",
  "collections": {
    "shifts": {},
    "menu": {},
    "orders": { "references": { "shift_id": "shifts" } }
  },
  "limits": { "operations": 50, "bytes": 1048576 },
  "record": {
    "id": "id",
    "own": "client_id",
    "version": "version",
    "at": "updated_at",
    "deleted": "deleted",
    "document": "data"
  },
  "push": {
    "path": "/sync/$path",
    "requestPerCollection": true,
    "forbiddenPauses": true,
    "body": {
      "source": "mobile_offline",
      "device_id": "$device",
      "since_version": "$position:0",
      "limit": 200,
      "$collection": "$operations"
    },
    "operation": {
      "source": "mobile_offline",
      "client_id": "$own",
      "id": "$serverId",
      "action": "$action",
      "base_version": "$version",
      "client_timestamp": "$at",
      "data": "$content?"
    },
    "ours": { "results": "list", "delta.version": "integer", "delta.changes": "list", "delta.has_more": "flag" },
    "delta": true,
    "verdicts": {
      "list": "results",
      "key": { "client_id": "$own", "id": "$serverId" },
      "status": "status",
      "words": { "confirmed": "applied", "conflict": "conflict", "rejected": "rejected", "retry": "retry" },
      "applied": { "version": "version", "id": "id" },
      "conflict": {
        "row": { "id": "id", "version": "server_version", "deleted": "server_deleted", "document": "server_data" },
        "token": "conflict_id",
        "kind": "conflict_type",
        "createCreate": "create-create"
      },
      "rejected": {
        "code": "code",
        "message": "message",
        "final": ["validation_failed", "unknown_reference", "not_found", "duplicate_key"],
        "gone": ["not_found"]
      }
    },
    "resolve": {
      "path": "/sync/conflict/resolve",
      "body": {
        "conflict_id": "$token",
        "source": "mobile_offline",
        "device_id": "$device",
        "entity": "$collection",
        "id": "$id",
        "mode": "manual",
        "choice": "$choice",
        "base_version": "$version",
        "data": "$content?"
      },
      "ours": { "conflict_id": "text", "status": "text", "version": "integer" },
      "version": "version",
      "document": "data",
      "conflict": "conflict"
    }
  },
  "pull": [
    {
      "each": true,
      "method": "POST",
      "path": "/sync/$path",
      "body": {
        "source": "mobile_offline",
        "device_id": "$device",
        "since_version": "$position:0",
        "limit": 200,
        "$collection": "$operations"
      },
      "ours": { "results": "list", "delta.version": "integer", "delta.changes": "list", "delta.has_more": "flag" },
      "rows": "delta.changes",
      "paging": "cursor",
      "next": "delta.version",
      "more": "delta.has_more"
    }
  ],
  "errors": { "ours": { "error": "text" } }
};

export const trackVault: RestProfile = {
  "name": "TrackVault",
  "device": "millis-and-letters",
  "ids": "integer",
  "versions": "number",
  "updates": "whole",
  "times": true,
  "collections": {
    "supplier": { "path": "suppliers" },
    "product": { "path": "products", "references": { "supplier_id": "supplier" } },
    "product_rate": { "path": "product-rates", "references": { "product_id": "product" } },
    "collection": { "path": "collections", "references": { "supplier_id": "supplier", "product_id": "product" } },
    "payment": { "path": "payments", "references": { "supplier_id": "supplier" } }
  },
  "limits": { "operations": 10, "bytes": 1048576 },
  "record": {
    "id": "id",
    "op": "sync_metadata.local_id",
    "version": "version",
    "at": "updated_at",
    "deleted": "deleted_at",
    "document": "*",
    "without": ["created_at", "device_id", "sync_metadata"]
  },
  "push": {
    "path": "/api/sync",
    "body": { "device_id": "$device", "operations": "$operations" },
    "operation": {
      "local_id": "$op",
      "entity_type": "$collection",
      "entity_id": "$serverId",
      "operation_type": "$action",
      "payload": { "...": "$content?", "version": "$version?" }
    },
    "ours": { "results": "list" },
    "verdicts": {
      "list": "results",
      "key": { "local_id": "$op" },
      "status": "status",
      "words": { "success": "applied", "conflict": "conflict", "failed": "rejected", "pending": "retry" },
      "applied": { "version": "version", "id": "entity_id", "record": "entity" },
      "conflict": { "theirs": "conflict_data.server_data" },
      "rejected": {
        "code": "error_code",
        "message": "error_message",
        "retryable": "retryable",
        "final": ["not_found", "local_id_reused"],
        "gone": ["not_found"]
      }
    }
  },
  "pull": [
    {
      "each": true,
      "path": "/api/$path",
      "query": { "updated_since": "$position?", "with_trashed": 1, "page": "$page", "per_page": 100 },
      "ours": { "data": "list", "meta.current_page": "integer", "meta.last_page": "integer" },
      "rows": "data",
      "paging": "page-restart",
      "page": "meta.current_page",
      "pages": "meta.last_page",
      "instants": "seconds",
      "overlap": 5000
    }
  ],
  "errors": { "ours": { "message": "text" }, "tooMany": { "status": 422, "has": "errors.operations" } }
};

export const arxOs: RestProfile = {
  "name": "ArxOS",
  "ids": "client",
  "versions": "number",
  "updates": "whole",
  "times": true,
  "weakReplay": true,
  "gzip": true,
  "collections": {
    "building": { "path": "buildings", "readOnly": true },
    "equipment": {},
    "anchor": { "path": "anchors", "references": { "equipment_id": "equipment" } }
  },
  "limits": { "operations": 50, "bytes": 1048576, "answerBytes": 67108864 },
  "record": {
    "id": "id",
    "version": "version",
    "at": "updated_at",
    "document": "*",
    "without": ["created_at"]
  },
  "push": {
    "path": "/api/v1/mobile/sync/batch",
    "body": { "operations": "$operations" },
    "operation": {
      "entity_type": "$collection",
      "entity_id": "$id",
      "operation": "$action",
      "payload": { "id": "$id", "...": "$content?", "version": "$version:1", "updated_at": "$at" },
      "local_time": "$at"
    },
    "deletion": {
      "entity_type": "$collection",
      "entity_id": "$id",
      "operation": "$action",
      "payload": { "version": "$version?" },
      "local_time": "$at"
    },
    "ours": { "success": "list or null", "conflicts": "list or null", "errors": "list or null" },
    "verdicts": {
      "lists": { "success": "applied", "conflicts": "conflict", "errors": "rejected" },
      "key": { "entity_id": "$id" },
      "applied": { "nextVersion": true },
      "conflict": { "theirs": "server_version" },
      "rejected": {
        "code": "code",
        "message": "message",
        "retryable": "retryable",
        "final": ["validation_failed", "not_found", "read_only", "forbidden"],
        "gone": ["not_found"]
      }
    },
    "single": {
      "upTo": 10,
      "create": { "method": "POST", "path": "/api/v1/mobile/$path" },
      "update": { "method": "PUT", "path": "/api/v1/mobile/$path/$id" },
      "delete": { "method": "DELETE", "path": "/api/v1/mobile/$path/$id" },
      "body": { "id": "$id", "...": "$content?", "version": "$version:1", "updated_at": "$at", "force": "$force?" },
      "ours": { "id": "text" },
      "theirs": "server_version",
      "message": "error"
    }
  },
  "pull": [
    {
      "name": "building",
      "collection": "building",
      "path": "/api/v1/mobile/buildings/$scope",
      "ours": { "id": "text" },
      "row": { "id": "id", "at": "updated_at", "document": "*", "without": ["created_at"] },
      "paging": "whole"
    },
    {
      "name": "equipment",
      "collection": "equipment",
      "path": "/api/v1/mobile/equipment/building/$scope/updates",
      "query": { "since": "$position" },
      "ours": { "updates": "list or null", "deletes": "list or null", "last_sync": "text" },
      "rows": "updates",
      "item": "equipment",
      "deletes": "deletes",
      "first": {
        "path": "/api/v1/mobile/equipment/building/$scope",
        "ours": { "equipment": "list or null", "last_sync": "text" },
        "rows": "equipment"
      },
      "paging": "since",
      "next": "last_sync",
      "time": "last_sync",
      "instants": "epoch",
      "overlap": 5000
    },
    {
      "name": "anchor",
      "collection": "anchor",
      "path": "/api/v1/mobile/anchors/building/$scope",
      "ours": { "anchors": "list or null", "last_sync": "text" },
      "rows": "anchors",
      "paging": "whole",
      "etag": true,
      "time": "last_sync"
    }
  ],
  "errors": { "ours": { "error": "text", "code": "text" } }
};

export const payTrack: RestProfile = {
  "name": "PayTrack",
  "ids": "client",
  "versions": "number",
  "updates": "patch",
  "gzip": true,
  "digest": true,
  "timeouts": { "begin": 40000, "idle": 30000, "whole": 100000 },
  "collections": {
    "suppliers": {},
    "products": {},
    "rates": { "references": { "product_uuid": "products" } },
    "collections": { "references": { "supplier_uuid": "suppliers", "product_uuid": "products" } },
    "payments": { "references": { "supplier_uuid": "suppliers" } }
  },
  "limits": { "operations": 100, "bytes": 1048576, "wait": 16000 },
  "push": {
    "path": "/sync/push",
    "body": { "device_id": "$device", "operations": "$operations" },
    "operation": {
      "id": "$seq",
      "entity_type": "$collection",
      "entity_uuid": "$id",
      "operation": "$action",
      "version": "$version:0",
      "payload": "$content:{}",
      "created_at": "$at"
    },
    "ours": { "success": "true", "results": "list" },
    "time": "server_time",
    "verdicts": {
      "list": "results",
      "key": { "id": "$seq" },
      "status": "status",
      "words": { "success": "applied", "conflict": "conflict", "error": "rejected" },
      "applied": { "version": "version", "at": "updated_at" },
      "conflict": { "row": { "version": "serverVersion", "deleted": "serverDeleted", "document": "serverData" } },
      "rejected": {
        "code": "error_code",
        "message": "error_message",
        "retryable": "retryable",
        "final": ["validation_failed", "foreign_key", "not_found", "forbidden"],
        "gone": ["not_found"]
      }
    }
  },
  "pull": [
    {
      "name": "changes",
      "path": "/sync/pull",
      "query": { "cursor": "$position?", "limit": 100 },
      "ours": { "success": "true", "changes": "list", "next_cursor": "text", "has_more": "flag" },
      "rows": "changes",
      "row": {
        "collection": "entity_type",
        "id": "entity_uuid",
        "version": "version",
        "at": "updated_at",
        "deleted": "deleted",
        "document": "data"
      },
      "paging": "cursor",
      "next": "next_cursor",
      "more": "has_more",
      "time": "server_time"
    }
  ],
  "errors": { "ours": { "success": "false", "error.code": "text" } }
};
