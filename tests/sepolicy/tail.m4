role r;
role r types domain;
user u roles { r };
sid kernel u:r:kernel
sid security u:r:kernel
sid unlabeled u:r:kernel
sid file u:r:kernel
