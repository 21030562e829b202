"""The event log over Kafka: what is known of aiokafka stays in here."""
